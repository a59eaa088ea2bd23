"""A sweep that is killed again and again, as by power cuts; its trials are of a small network."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from src.core.names import State
from src.records.trial import TrialRecord
from src.tracking.study import StudyStore

pytestmark = pytest.mark.slow

SMALL = ["model.backbone=tiny", "data.num_images=60", "data.image_size=32", "data.batch_size=8",
         "fit.epochs=4", "model.weights=null", "model.input_mode=unit",
         "tracking.system_metrics=false", "tracking.keep_model=none",
         "study.name=small"]  # fmt: skip
SPACE = ["optimizer.learning_rate=tag(log,interval(1e-3,1e-2))", "model.dropout_rate=0,0.2,0.5"]
SEARCHES = {
    "grid": ["optimizer.learning_rate=1e-2,1e-3", "model.dropout_rate=0,0.2"],
    "bayesian": ["hydra.sweeper.oracle=bayesian", "hydra.sweeper.max_trials=5",
                 "hydra.sweeper.num_initial_points=2", *SPACE],
    "hyperband": ["hydra.sweeper.oracle=hyperband", "fit.epochs=3", *SPACE],
}  # fmt: skip
NUM_KILLS = int(os.environ.get("NUM_KILLS", "1"))
# More trials for more kills, so that none of them finds the sweep at its end.
REPLICATES = f"hydra.sweeper.replicates={2 + NUM_KILLS}"


def start(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    with (folder / "log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "src.train", "-m", *SMALL, *arguments],
            cwd=folder, env=environment, stdout=log, stderr=log,
        )  # fmt: skip


def run_to_the_end(folder: Path, environment: dict[str, str], *arguments: str) -> None:
    process = start(folder, environment, *arguments)
    assert process.wait(timeout=1200) == 0, (folder / "log").read_text()


def trials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[TrialRecord]:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    return StudyStore("face-age", "small").trials()


def curve(store: StudyStore, trial: TrialRecord) -> list[tuple[int, float]]:
    history = store._client.get_metric_history(trial.run_id, "mae/val")
    return [(point.step, point.value) for point in history]


def account(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple]:
    """Results that must be equal, by trial number."""
    found = trials(folder, monkeypatch)
    store = StudyStore("face-age", "small")
    results = {
        trial.number: (
            trial.configuration_hash,
            trial.state,
            {k: v for k, v in trial.metrics.items() if not k.startswith(("time/", "memory/"))},
            curve(store, trial),
        )
        for trial in found
    }
    assert len(results) == len(found)  # each once
    return results


@pytest.mark.parametrize("search", SEARCHES)
def test_killed_sweep_ends_as_the_undisturbed_one(
    search: str, tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*SEARCHES[search], REPLICATES]
    run_to_the_end(tmp_path / "undisturbed", environment, *arguments)
    undisturbed = account(tmp_path / "undisturbed", monkeypatch)
    assert {state for _, state, *_ in undisturbed.values()} == {State.COMPLETE}

    moments, num_kills = random.Random(0), 0
    for _ in range(NUM_KILLS):
        process = start(tmp_path / "killed", environment, *arguments)
        children = psutil.Process(process.pid)
        time.sleep(moments.uniform(5, 20))
        if process.poll() is not None:  # at its end before the kill
            break
        orphans = children.children(recursive=True)
        process.kill()
        process.wait()
        num_kills += 1
        _, alive = psutil.wait_procs(orphans, timeout=30)
        assert not alive  # a trial does not outlive its sweep
    assert num_kills > NUM_KILLS // 3
    run_to_the_end(tmp_path / "killed", environment, *arguments)
    assert account(tmp_path / "killed", monkeypatch) == undisturbed
    assert not list((tmp_path / "killed" / "mlruns" / "checkpoints").rglob("*.npy"))
