"""How often a study has looked at its test part: each look is counted before it is taken."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient

from src.core.errors import UsageError
from src.tracking.retry import patient
from src.tracking.store import search_all

_TAG = "test.taken."  # and the look's number; one tag each, since MLflow cuts long values
_TEST_MAE = "test/mae"


@dataclass(frozen=True)
class Look:
    """One look at a study's test part.

    Attributes:
        time: When, in UTC, such as `2026-11-02 12:00:03`.
        trial: Name of the run whose model was measured.
        run_id: Its id.
    """

    time: str
    trial: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.trial} at {self.time} UTC"


def looks(experiment_id: str, study: str) -> list[Look]:
    """All looks of a study, the oldest first; a trial with `fit.evaluate_test=true` took one."""
    runs = search_all(experiment_id, f"tags.study = '{study}'")
    counted = [
        Look(**json.loads(value))
        for run in runs
        for key, value in run.data.tags.items()
        if key.startswith(_TAG)
    ]
    known = {look.run_id for look in counted}
    return sorted(
        counted + [_own_look(run) for run in runs if _looked_by_itself(run, known)],
        key=lambda look: look.time,
    )


@patient
def num_looks_elsewhere(experiment_id: str, study: str, data_digest: str) -> int:
    """Trials of other studies that were measured on the same test part."""
    query = f"tags.data_digest = '{data_digest}' and metrics.`{_TEST_MAE}` >= 0"
    return sum(run.data.tags.get("study") != study for run in search_all(experiment_id, query))


def refuse_another_look(study: str, earlier: Sequence[Look], again: bool) -> None:
    """A test part is honest once: choosing by what it says makes it a second validation part.

    Raises:
        UsageError: If there was a look before, and nobody said that there may be another.
    """
    if not earlier or again:
        return
    raise UsageError(
        f'The test part of study "{study}" was looked at already: '
        f"{', '.join(map(str, earlier))}. Received: STUDY={study}. Fix: keep to what was found "
        f"then (test/mae of that run, unless it was cut short), or `make champion "
        f'STUDY="{study}" AGAIN=1`, which is counted and told as look {len(earlier) + 1}'
    )


@patient
def count_look(experiment_id: str, study: str, trial_run_id: str) -> Look:
    """Write down that a trial is about to be measured on the test part.

    Before, not after: whoever kills the command once the number is known, or has it die while
    it registers the model, has seen the number all the same.

    Args:
        experiment_id: The study's.
        study: Its name; its parent run keeps the count, or the trial where there is no parent.
        trial_run_id: The trial's.
    """
    client = MlflowClient()
    runs = search_all(experiment_id, f"tags.study = '{study}'")
    (trial,) = [run for run in runs if run.info.run_id == trial_run_id]
    keeper = next((run for run in runs if run.data.tags.get("kind") == "study"), trial)
    number = 1 + sum(key.startswith(_TAG) for run in runs for key in run.data.tags)
    look = Look(_utc(datetime.now(UTC)), trial.info.run_name, trial_run_id)
    client.set_tag(keeper.info.run_id, f"{_TAG}{number}", json.dumps(asdict(look)))
    return look


def _looked_by_itself(run: MlflowRun, counted: set[str]) -> bool:
    """Whether a trial has a test error from its own training, and not from a counted look."""
    return _TEST_MAE in run.data.metrics and (
        run.data.params.get("fit.evaluate_test") == "True" or run.info.run_id not in counted
    )


def _own_look(run: MlflowRun) -> Look:
    milliseconds = run.info.end_time or run.info.start_time
    time = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return Look(_utc(time), run.info.run_name, run.info.run_id)


def _utc(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
