"""Every choice of every group, in all pairs, from its launch to report, replay and champion."""

import itertools
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from src import champion, replay, report, train
from src.core.names import BEST_VAL_MAE, State
from src.data.sample import draw_data_set
from src.tracking.lookup import find_study
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

CONF = ROOT / "conf"
TINY = ["model.backbone=tiny", "model.weights=null", "data.num_images=60", "data.image_size=32",
        "data.batch_size=8", "fit.epochs=2", "tracking.system_metrics=false"]  # fmt: skip
LAYOUTS = {"sample": "", "labels_csv": "labels", "utkface": "utk", "appa_real": "appa"}


def files(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


CHOICES: Mapping[str, list[list[str]]] = {
    "data": [[f"data={layout}", *([f"data.root={root}"] if root else [])]
             for layout, root in LAYOUTS.items()],
    "optimizer": [[f"optimizer={name}"] for name in files("optimizer")],
    "schedule": [[f"schedule={name}"] for name in files("schedule")],
    "augmentation": [[f"augmentation={name}"] for name in files("augmentation")],
    "pruner": [[f"pruner={name}"] for name in files("pruner")],
    "loss": [["model.loss=mae"], ["model.loss=mse"], ["model.loss=huber"]],
    "head": [["model.dropout_position=before_pooling"], ["model.output_activation=relu"],
             ["model.dropout_position=after_pooling", "model.hidden_units=[4]"]],
    "decoder": [["data.decoder=opencv"], ["data.decoder=pillow"], ["data.decoder=tensorflow"]],
    "figures": [["tracking.figures=all"], ["tracking.figures=best"], ["tracking.figures=none"]],
}  # fmt: skip


def pairwise(choices: Mapping[str, list]) -> Iterator[dict[str, int]]:
    """Yields choices by index so that each two of different groups come together at least once."""
    values = [(group, i) for group, its in choices.items() for i in range(len(its))]
    left = {(one, other) for one, other in itertools.combinations(values, 2) if one[0] != other[0]}
    while left:
        chosen = list(min(left))
        for group in choices:
            if group not in dict(chosen):
                gains = {
                    value: sum(_pair(value, other, values) in left for other in chosen)
                    for value in values
                    if value[0] == group
                }
                chosen.append(max(gains, key=gains.__getitem__))
        left -= {_pair(one, other, values) for one, other in itertools.combinations(chosen, 2)}
        yield dict(chosen)


def _pair(one: tuple, other: tuple, values: list[tuple]) -> tuple:
    return (one, other) if values.index(one) < values.index(other) else (other, one)


def write_layouts() -> None:
    """Writes the same drawn faces in each layout."""
    drawn = draw_data_set(60, Path(".cache/sample"))
    shutil.copytree(drawn, "labels")
    labels = pd.read_csv(drawn / "labels.csv")
    Path("utk").mkdir()
    parts = ("train", "valid", "test")
    for part in parts:
        Path("appa", part).mkdir(parents=True)
    for index, (name, age) in enumerate(labels[["file_name", "real_age"]].to_numpy()):
        picture = drawn / "final_files" / name
        shutil.copy(picture, f"utk/{age}_0_0_2017{index:04d}.jpg.chip.jpg")
        shutil.copy(picture, f"appa/{parts[index % 3]}/{index:06d}.jpg_face.jpg")
    labels["file_name"] = [f"{index:06d}.jpg" for index in range(len(labels))]
    for number, part in enumerate(parts):
        labels[number::3].to_csv(f"appa/gt_avg_{part}.csv", index=False)


@pytest.fixture
def launch(in_tmp_path, monkeypatch) -> Callable[..., None]:
    """Runs a command that Hydra composes, in this process."""
    # Hydra closes all log handlers, and absl's closes pytest's standard error with itself.
    monkeypatch.setattr("absl.logging.PythonHandler.close", lambda self: None)
    (in_tmp_path / "experiments").mkdir()

    def launched(main: Callable[[], object], *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        main()

    return launched


def test_pairs_are_complete() -> None:
    found = list(pairwise(CHOICES))
    assert len(found) < 30
    for one, other in itertools.combinations(CHOICES, 2):
        pairs = {(chosen[one], chosen[other]) for chosen in found}
        assert len(pairs) == len(CHOICES[one]) * len(CHOICES[other])


def test_every_pair_of_choices_reaches_report_replay_and_champion(launch) -> None:
    write_layouts()
    for number, chosen in enumerate(pairwise(CHOICES), start=1):
        overrides = [text for group, i in chosen.items() for text in CHOICES[group][i]]
        common = [*TINY, "study.name=pairs", f"study.trial={number}", "tracking.keep_model=all"]
        launch(train.main, *common, *overrides)
    trials = find_study("face-age", "pairs").trials()
    assert len(trials) == number
    assert {trial.state for trial in trials} <= {State.COMPLETE, State.PRUNED}
    report.main(["pairs"])
    assert "Leaderboard" in Path("experiments/pairs/README.md").read_text()
    for trial in trials[::4]:
        launch(replay.main, "pairs", str(trial.number))
    replayed = {trial.number: trial for trial in find_study("face-age", "pairs replayed").trials()}
    assert len(replayed) == len(trials[::4])
    for trial in trials[::4]:
        if trial.state is State.COMPLETE:
            again = replayed[trial.number]
            assert again.metrics[BEST_VAL_MAE] == trial.metrics[BEST_VAL_MAE], trial.number
            assert again.configuration_hash == trial.configuration_hash
    tested = [trial for trial in trials if trial.state is State.COMPLETE][::4]
    for trial in tested:
        champion.main(["pairs", "--trial", str(trial.number), "--again"])
    versions = MlflowClient().search_model_versions("name = 'face-age'")
    assert {version.run_id for version in versions} == {trial.run_id for trial in tested}


@pytest.mark.parametrize("sweep", files("sweep"))
def test_every_sweep_file_runs(launch, sweep: str) -> None:
    limits = ["hydra.sweeper.replicates=1", "hydra/launcher=basic", "fit.epochs=1"]
    if sweep != "hyperband":
        limits.append("hydra.sweeper.max_trials=2")
    launch(train.main, "-m", f"+sweep={sweep}", *TINY, *limits)
    trials = find_study("face-age", sweep).trials()
    assert trials
    assert {trial.state for trial in trials} == {State.COMPLETE}
