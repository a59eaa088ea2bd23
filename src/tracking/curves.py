"""Learning curves of a study's other trials."""

import functools

from mlflow import MlflowClient

from src.tracking.retry import patient
from src.tracking.store import find_runs


@patient
def sibling_curves(
    experiment_id: str, study: str, data_digest: str, own_run_id: str, metric: str
) -> list[tuple[float, ...]]:
    """Returns a metric after each finished epoch of every other trial of the study.

    Running trials count with the epochs that they have finished; runs without an epoch are left
    out.

    Args:
        experiment_id: MLflow's.
        study: The study's name, which has no quotes.
        data_digest: Only trials on the same faces and split can be compared.
        own_run_id: The run of the calling trial.
        metric: Per-epoch metric, such as `mae/val`.
    """
    query = f"tags.study = '{study}' and tags.data_digest = '{data_digest}'"
    return [
        _curve(run.info.run_id, metric, frozenset(run.data.metrics.items()))
        for run in find_runs([experiment_id], query)
        if run.info.run_id != own_run_id and metric in run.data.metrics
    ]


@functools.cache
def _curve(run_id: str, metric: str, latest: frozenset[tuple[str, float]]) -> tuple[float, ...]:
    """Returns a run's curve; it is read again only if the latest values of its metrics changed."""
    points = MlflowClient().get_metric_history(run_id, metric)
    return tuple(point.value for point in sorted(points, key=lambda point: point.step))
