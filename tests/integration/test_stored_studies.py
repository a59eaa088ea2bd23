"""Studies of an early version are resumed, with workers that train nothing.

See `tests/unit/config/test_stored_hashes.py` for what `tests/data/stored_study.tar.gz` holds.
"""

import importlib
import tarfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import ClassVar

import pytest
from mlflow.tracking import MlflowClient

from src.config import Config
from src.core.names import State
from src.search.loop import Ending, Job
from src.tracking.study import StudyStore
from src.training.timing import Timing

pytestmark = pytest.mark.slow

STORE = Path(__file__).parents[1] / "data/stored_study.tar.gz"
COMMON = ["data.num_images=48", "data.image_size=32", "data.batch_size=16", "model.weights=null",
          "model.batch_norm_momentum=0.9", "tracking.keep_model=none",
          "tracking.system_metrics=false", "hydra.launcher.n_jobs=2"]  # fmt: skip
RATE = "optimizer.learning_rate=tag(log,interval(1e-5,1e-3))"
STUDIES = {
    "grid": ["optimizer.learning_rate=1e-4,1e-3", "model.dropout_rate=0,0.2", "fit.epochs=2"],
    "bayes": [RATE, "model.dropout_rate=interval(0,0.5)", "fit.epochs=1",
              "hydra.sweeper.oracle=bayesian", "hydra.sweeper.max_trials=6",
              "hydra.sweeper.num_initial_points=2"],
    "hyper": [RATE, "model.dropout_rate=choice(0,0.2)", "fit.epochs=3",
              "hydra.sweeper.oracle=hyperband", "hydra.sweeper.reduction_factor=3"],
}  # fmt: skip
NUM_KNOWN = {"grid": 4, "bayes": 3, "hyper": 4}
INTERRUPTED = {"bayes": 4, "hyper": 5}


class IdleWorkers:
    """Accepts trials in place of processes, and is interrupted before it runs one."""

    num_jobs = 2
    max_stacked = 256
    started: ClassVar[list[Job]] = []

    def __init__(self, launcher: object) -> None:
        self.started.clear()

    def has_room(self) -> bool:
        return len(self.started) < self.num_jobs

    def start(self, job: Job) -> None:
        self.started.append(job)

    def wait(self) -> list[tuple[Job, Ending]]:
        raise KeyboardInterrupt

    def stop(self) -> list[tuple[Job, Ending]]:
        return [(job, Ending(is_interrupted=True)) for job in self.started]

    def time(self, config: Config) -> Timing:
        return Timing(40, 2, 10, 5, 4e8, 1e8)

    def signals(self) -> nullcontext:
        return nullcontext()


@pytest.fixture
def sweep(launch, in_tmp_path, monkeypatch) -> Callable[..., tuple[int, str]]:
    """Launch a sweep on a copy of the store; its exit status and printed text."""
    with tarfile.open(STORE) as archive:
        archive.extractall(in_tmp_path, filter="data")
    # Not by its dotted name: Hydra imports plugins without setting attributes of their parents.
    workers = importlib.import_module("hydra_plugins.oracle_sweeper._workers")
    monkeypatch.setattr(workers, "ProcessWorkers", IdleWorkers)
    return lambda study, *arguments: launch(
        f"study.name={study}", *COMMON, *STUDIES[study], *arguments
    )


def recorded(study: str) -> dict[int | None, tuple[str, State]]:
    trials = StudyStore("face-age", study).trials()
    return {trial.number: (trial.run_id, trial.state) for trial in trials}


def test_complete_grid_is_known(sweep) -> None:
    before = recorded("grid")
    status, printed = sweep("grid")
    assert status == 0, printed
    assert 'Study "grid" (grid): 4 trials, 4 of them known.' in printed
    assert IdleWorkers.started == []
    assert recorded("grid") == before
    assert {state for _, state in before.values()} == {State.COMPLETE}


@pytest.mark.parametrize("study", INTERRUPTED)
def test_adaptive_search_continues_with_its_interrupted_trial(sweep, study: str) -> None:
    before = recorded(study)
    status, printed = sweep(study)
    assert status == 130, printed
    assert f"{NUM_KNOWN[study] + 1} trials, {NUM_KNOWN[study]} of them known" in printed
    first = IdleWorkers.started[0]
    assert first.number == INTERRUPTED[study]
    assert first.config.study.run_id == before[first.number][0]
    after = recorded(study)
    assert before.items() <= after.items()  # a new one may have been suggested beside it
    assert len(after) == len(before) + len(IdleWorkers.started) - 1


@pytest.mark.parametrize("study", STUDIES)
def test_plan_accepts_the_study(sweep, study: str) -> None:
    before = recorded(study)
    status, printed = sweep(study, "hydra.sweeper.mode=plan")
    assert status == 0, printed
    assert f"{NUM_KNOWN[study]} trials are done." in printed
    assert recorded(study) == before


@pytest.mark.parametrize(
    ("study", "change", "message"),
    [
        ("bayes", "hydra.sweeper.noise=0.01", "with hydra.sweeper.noise=0.0001. Received"),
        ("hyper", "model.loss=mse", "with model.loss=mae. Received: model.loss=mse"),
        (
            "bayes",
            "model.backbone=tiny",
            "with model.backbone=resnet50. Received: model.backbone=tiny",
        ),
    ],
)
def test_other_search_is_refused(sweep, study: str, change: str, message: str) -> None:
    status, printed = sweep(study, change)
    assert status == 1
    assert message in printed
    assert IdleWorkers.started == []


def test_study_may_get_more_trials(sweep) -> None:
    status, printed = sweep("bayes", "hydra.sweeper.max_trials=9")
    assert status == 130, printed
    (parent,) = MlflowClient().search_runs(["1"], "tags.study = 'bayes' and tags.kind = 'study'")
    assert '"hydra.sweeper.max_trials": 9' in parent.data.tags["sweep.definition"]
