"""Evaluations on a study's test part; each is recorded before it is made."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from mlflow import MlflowClient

from src.core import names
from src.core.errors import UsageError
from src.tracking.retry import patient
from src.tracking.store import find_runs
from src.tracking.study import is_parent


@dataclass(frozen=True)
class Evaluation:
    """An evaluation on a study's test part.

    Attributes:
        time: In UTC, such as `2026-11-02 12:00:03`.
        trial: Name of the run whose model was evaluated.
        run_id: Its id.
    """

    time: str
    trial: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.trial} at {self.time} UTC"


def evaluations(experiment_id: str, study: str) -> list[Evaluation]:
    """Returns all test-set evaluations of a study, the oldest first.

    A trial with `fit.evaluate_test=true` made one.
    """
    runs = find_runs([experiment_id], f"tags.study = '{study}'")
    recorded = [
        Evaluation(**json.loads(value))
        for run in runs
        for key, value in run.data.tags.items()
        if key.startswith(names.TEST_EVALUATION)
    ]
    known = {evaluation.run_id for evaluation in recorded}
    for run in runs:
        itself = run.data.params.get("fit.evaluate_test") == "True" or run.info.run_id not in known
        if itself and names.TEST_MAE in run.data.metrics:
            ended = datetime.fromtimestamp((run.info.end_time or run.info.start_time) / 1000, UTC)
            recorded.append(Evaluation(_utc(ended), run.info.run_name, run.info.run_id))
    return sorted(recorded, key=lambda evaluation: evaluation.time)


@patient
def num_evaluations_elsewhere(experiment_id: str, study: str, data_digest: str) -> int:
    """Returns the number of other studies' trials that were evaluated on the same test part."""
    query = f"tags.data_digest = '{data_digest}' and metrics.`{names.TEST_MAE}` >= 0"
    runs = find_runs([experiment_id], query)
    return sum(run.data.tags.get(names.STUDY) != study for run in runs)


def refuse_another_evaluation(study: str, earlier: Sequence[Evaluation], again: bool) -> None:
    """Refuses to evaluate twice: choosing by test errors makes a second validation part of them.

    Raises:
        UsageError: If there was an evaluation before, and another one is not allowed explicitly.
    """
    if not earlier or again:
        return
    raise UsageError(
        f'Study "{study}" was evaluated on its test part already: '
        f"{', '.join(map(str, earlier))}. Received: STUDY={study}. Fix: use the recorded result "
        f"(test/mae of that run, unless it was interrupted), or `make champion "
        f'STUDY="{study}" AGAIN=1`, which is recorded as test-set evaluation {len(earlier) + 1}'
    )


@patient
def record_evaluation(experiment_id: str, study: str, trial_run_id: str) -> Evaluation:
    """Records that a trial is about to be evaluated on the test part.

    It is recorded before: if the command is interrupted afterwards, the number may have been seen.

    Args:
        experiment_id: The study's.
        study: Its name; its parent run has the record, or the trial if there is no parent.
        trial_run_id: The trial's.
    """
    runs = find_runs([experiment_id], f"tags.study = '{study}'")
    (trial,) = [run for run in runs if run.info.run_id == trial_run_id]
    holder = next((run for run in runs if is_parent(run)), trial)
    recorded = (key.startswith(names.TEST_EVALUATION) for run in runs for key in run.data.tags)
    evaluation = Evaluation(_utc(datetime.now(UTC)), trial.info.run_name, trial_run_id)
    tag, value = f"{names.TEST_EVALUATION}{1 + sum(recorded)}", json.dumps(asdict(evaluation))
    MlflowClient().set_tag(holder.info.run_id, tag, value)
    return evaluation


def _utc(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
