"""The learning curves of a study's other trials, as they stand in the store."""

import functools

from mlflow.entities import Run as MlflowRun
from mlflow.entities import RunStatus
from mlflow.tracking import MlflowClient

from src.tracking.retry import patient
from src.tracking.store import search_all

_KEY = "mae/val"


@patient
def sibling_curves(
    experiment_id: str, study: str, data_digest: str, own_run_id: str
) -> list[tuple[float, ...]]:
    """Validation MAE (years) after each finished epoch of every other trial of the study.

    Trials that run now count as far as they have come; runs without an epoch are left out.

    Args:
        experiment_id: MLflow's.
        study: The study's name, which has no quotes (see `src.config`).
        data_digest: Only trials on the same faces and split can be compared.
        own_run_id: The run that asks.
    """
    query = f"tags.study = '{study}' and tags.data_digest = '{data_digest}'"
    return [
        _curve(run)
        for run in search_all(experiment_id, query)
        if run.info.run_id != own_run_id and _KEY in run.data.metrics
    ]


def _curve(run: MlflowRun) -> tuple[float, ...]:
    if RunStatus.is_terminated(RunStatus.from_string(run.info.status)):
        return _ended_curve(run.info.run_id, run.info.end_time)
    return _read_curve(run.info.run_id)


@functools.cache
def _ended_curve(run_id: str, end_time: int) -> tuple[float, ...]:
    """An ended run's curve never changes, unless the run is opened again and ends once more."""
    return _read_curve(run_id)


def _read_curve(run_id: str) -> tuple[float, ...]:
    points = MlflowClient().get_metric_history(run_id, _KEY)
    return tuple(point.value for point in sorted(points, key=lambda point: point.step))
