"""A store that an early version of the project wrote, before targets and objectives existed."""

import tarfile
from pathlib import Path

import mlflow
import pytest

from src.config import configuration_hash
from src.records import tables
from src.records.terms import Terms
from src.tracking.bulk_reading import read_curves, read_predictions
from src.tracking.lookup import config_of, find_study, studies

STORE = Path(__file__).parents[2] / "data/stored_study.tar.gz"


@pytest.fixture
def stored(in_tmp_path: Path) -> Path:
    with tarfile.open(STORE) as archive:
        archive.extractall(in_tmp_path, filter="data")
    mlflow.set_tracking_uri(None)
    return in_tmp_path


def test_early_store_is_read_with_neutral_target_and_objective(stored: Path) -> None:
    found = {study.name: study for study in studies(None)}
    assert {name: study.num_trials for name, study in found.items()} == {
        "adhoc": 1, "bayes": 4, "grid": 4, "hyper": 5
    }  # fmt: skip
    assert all(study.terms == Terms() for study in found.values())
    store = find_study(None, "grid")
    trials = store.trials()
    assert tables.varied_keys(trials) == ["model.dropout_rate", "optimizer.learning_rate"]
    for trial in trials:
        assert configuration_hash(config_of(trial, "grid")) == trial.configuration_hash
        assert trial.params["model.backbone"] == "resnet50"
    curves = read_curves("grid", trials, ["mae/val", "mae/train"])
    assert list(curves["epoch"]) == [1, 2] * 4
    predictions = read_predictions(trials[0], "val")
    assert predictions is not None
    assert found["grid"].best == min(trial.metrics["best/val_mae"] for trial in trials)
