import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from src.core.names import State
from src.tracking.study import StudyStore
from src.trials import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A folder with a sweep of three trials (good, better, waiting), and a trial by hand."""
    folder = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.delenv("MLFLOW_TRACKING_URI", raising=False)
        store = StudyStore("face-age", "first try")
        store.open_parent({})
        add_trial(store, 1, 7.5, "0.0")
        add_trial(store, 2, 6.25, "0.2")
        store.create_trial("trial 3", {"trial": "3"})
        store.close_parent("KILLED", State.WAITING)
        StudyStore("face-age", "by hand [b]").create_trial("trial 1", {"state": "FAILED"})
        MlflowClient().create_experiment("empty")
    return folder


@pytest.fixture
def study(stored: Path, monkeypatch: pytest.MonkeyPatch) -> StudyStore:
    """The sweep, in the working directory."""
    monkeypatch.chdir(stored)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return StudyStore("face-age", "first try")


def add_trial(store: StudyStore, number: int, error: float, dropout_rate: str) -> None:
    client = MlflowClient()
    run_id = store.create_trial(f"trial {number}", {"trial": str(number), "state": "COMPLETE"})
    metrics = {"val_mae": error, "val_mae_low": 5, "val_mae_high": 8, "gap": 1.5, "epoch": 4}
    for key, value in metrics.items():
        client.log_metric(run_id, f"best/{key}", value)
    client.log_param(run_id, "model.dropout_rate", dropout_rate)
    client.set_terminated(run_id)


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("│")]


def test_trials_of_a_study_are_listed_best_first(study, capsys) -> None:
    main(["first try"])
    shown = capsys.readouterr().out
    rows = [cells(row) for row in shown.splitlines() if re.match(r" +\d", row)]
    assert [row[0] for row in rows] == ["2", "1", "3"]
    assert rows[0][1:6] == ["dropout_rate 0.2", "6.25 [5.00, 8.00]", "+1.50", "4", "COMPLETE"]
    assert rows[2][1:] == ["", "", "", "", "WAITING", ""]
    assert "3 trials: 2 complete. Best: trial 2, validation MAE 6.25 years" in shown


def test_studies_are_listed_with_number_of_trials_best_error_and_state(study, capsys) -> None:
    main([])
    lines = capsys.readouterr().out.splitlines()
    assert cells(lines[-2]) == ["by hand [b]", "face-age", "1", "", "best MAE", "COMPLETE"]
    assert cells(lines[-1]) == ["first try", "face-age", "3", "6.25 years", "best MAE", "WAITING"]


@pytest.fixture
def refusal(capsys) -> Callable[..., str]:
    """Error of a refused command."""

    def refused(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ending:
            main(arguments)
        assert isinstance(ending.value.code, str)  # printed by Python, with exit status 1
        return ending.value.code

    return refused


def test_unknown_study_is_refused_with_the_nearest(study, refusal) -> None:
    assert refusal("frist try") == (
        'error: The tracking store has no study "frist try". '
        "Received: STUDY=frist try. Fix: first try"
    )
    assert refusal("it's").endswith("Fix: one of by hand [b], first try")


def test_unknown_experiment_is_refused_with_the_nearest(study, refusal) -> None:
    assert refusal("--experiment", "face_age").endswith(
        "Received: --experiment face_age. Fix: face-age"
    )


@pytest.mark.parametrize("arguments", [[], ["seed"]])
def test_missing_store_is_explained_and_not_created(in_tmp_path, refusal, arguments) -> None:
    message = refusal(*arguments)
    assert "There is no tracking store yet. Received: mlflow.db in " in message
    assert "Fix: `make sweep`" in message
    assert not list(in_tmp_path.iterdir())


def test_experiment_without_a_study_says_so(study, capsys) -> None:
    main(["--experiment", "empty"])
    assert "There is no study yet" in capsys.readouterr().out


def test_listing_imports_no_tensorflow(study) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "src.trials", "first try"],
        capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    imported = set(re.findall(r"\| +(\w+)", done.stderr))
    assert "6.25" in done.stdout
    assert "mlflow" in imported
    assert not imported & {"tensorflow", "keras", "keras_tuner", "torch", "hydra"}
