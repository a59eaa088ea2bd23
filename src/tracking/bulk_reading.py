"""Curves and predictions of a study's trials, read in bulk for reports."""

import sqlite3
from collections.abc import Sequence

import pandas as pd
from mlflow import MlflowClient

from src.records.trial import TrialRecord
from src.tracking.retry import patient
from src.tracking.store import local_folder, sqlite_file

_QUERY = """
    SELECT metrics.run_uuid, metrics.key, metrics.step, metrics.value FROM metrics
    JOIN tags ON tags.run_uuid = metrics.run_uuid AND tags.key = 'study' AND tags.value = ?
    WHERE metrics.is_nan = 0 AND metrics.key IN ({})
    ORDER BY metrics.timestamp
"""


@patient
def read_curves(study: str, trials: Sequence[TrialRecord], keys: Sequence[str]) -> pd.DataFrame:
    """Returns metrics of every finished epoch.

    A SQLite store is read in one query, since MLflow's client has one call for each run and metric,
    which takes a hundred times as long for a thousand trials. Other stores are read that way.

    Args:
        study: The study's name.
        trials: Trials of the study.
        keys: Metrics, such as `mae/val`.

    Returns:
        Columns run_id, epoch and the keys; ordered by trial and epoch. If an epoch was logged
        twice, the later value counts; a metric that was not logged is NaN.
    """
    database = sqlite_file()
    if database is not None:
        marks = ", ".join("?" * len(keys))
        with sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True) as connection:
            rows = connection.execute(_QUERY.format(marks), (study, *keys)).fetchall()
        connection.close()
    else:
        history = MlflowClient().get_metric_history
        rows = [
            (trial.run_id, key, point.step, point.value)
            for trial in trials
            for key in keys
            for point in sorted(history(trial.run_id, key), key=lambda point: point.timestamp)
        ]
    points = pd.DataFrame(rows, columns=["run_id", "key", "epoch", "value"])
    points["value"] = points["value"].astype(float)
    wanted = [trial.run_id for trial in trials]
    points["run_id"] = pd.Categorical(points["run_id"], wanted)  # none for other trials
    table = points.pivot_table("value", ["run_id", "epoch"], "key", aggfunc="last", observed=True)
    table = table.reindex(columns=list(keys)).rename_axis(columns=None).reset_index()
    return table.astype({"run_id": str})


@patient
def read_predictions(
    trial: TrialRecord, part: str, columns: list[str] | None = None
) -> pd.DataFrame | None:
    """Returns the predictions of a trial's best epoch for each face of a part.

    Args:
        trial: A trial of any study.
        part: `train` (its measured faces), `val` or `test`.
        columns: Columns to read; None for all.

    Returns:
        One row for each face; None if predictions were not kept.
    """
    path = f"predictions/{part}.parquet"
    local = local_folder(trial.artifact_uri)
    if local is not None:
        file = local / path
        return pd.read_parquet(file, columns=columns) if file.is_file() else None
    client = MlflowClient()
    if all(file.path != path for file in client.list_artifacts(trial.run_id, "predictions")):
        return None
    return pd.read_parquet(client.download_artifacts(trial.run_id, path), columns=columns)
