"""Everything that a study's trials have recorded, read at once: a report needs it all."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.tracking import MlflowClient
from pyarrow import parquet

from src.records.trial import TrialRecord
from src.tracking.artifacts import local_folder
from src.tracking.retry import patient

_QUERY = """
    SELECT metrics.run_uuid, metrics.key, metrics.step, metrics.value FROM metrics
    JOIN tags ON tags.run_uuid = metrics.run_uuid AND tags.key = 'study' AND tags.value = ?
    WHERE metrics.is_nan = 0 AND metrics.key IN ({})
    ORDER BY metrics.timestamp
"""


@patient
def read_curves(study: str, trials: Sequence[TrialRecord], keys: Sequence[str]) -> pd.DataFrame:
    """Metrics of every finished epoch.

    From a SQLite store in one query: MLflow offers one call for each run and metric, which takes
    a hundred times as long for a thousand trials. Other stores are asked in that way.

    Args:
        study: The study's name.
        trials: Which of its trials.
        keys: Metrics, such as `mae/val`.

    Returns:
        Columns run_id, epoch and the keys; ordered by trial and epoch. Where an epoch was logged
        twice, the later value counts; where a metric was not logged, it is NaN.
    """
    database = _sqlite_file()
    if database is not None:
        places = ", ".join("?" * len(keys))
        with sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True) as connection:
            rows = connection.execute(_QUERY.format(places), (study, *keys)).fetchall()
        connection.close()
    else:
        rows = list(_ask(trials, keys))
    points = pd.DataFrame(rows, columns=["run_id", "key", "epoch", "value"])
    points["value"] = points["value"].astype(float)
    table = points.pivot_table(
        index=["run_id", "epoch"], columns="key", values="value", aggfunc="last"
    )
    table = table.reindex(columns=list(keys)).rename_axis(columns=None)
    wanted = [trial.run_id for trial in trials]
    table = table[table.index.get_level_values("run_id").isin(wanted)].reset_index()
    order = {run_id: place for place, run_id in enumerate(wanted)}
    return table.sort_values(
        ["run_id", "epoch"],
        key=lambda column: column.map(order) if column.name == "run_id" else column,
        ignore_index=True,
    )


@patient
def read_predictions(
    trial: TrialRecord, part: str, columns: list[str] | None = None
) -> pd.DataFrame | None:
    """What the trial's best epoch predicts for each face of a part.

    Args:
        trial: Of any study.
        part: `train` (the measured faces of it), `val` or `test`.
        columns: Which of row, file_name, age and prediction (years); None for all.

    Returns:
        One row for each face; None where it was not kept.
    """
    path = f"predictions/{part}.parquet"
    local = local_folder(trial.artifact_uri)
    if local is not None:
        file = local / path
        # pandas' own reader takes twice as long for such small files.
        return parquet.read_table(file, columns=columns).to_pandas() if file.is_file() else None
    client = MlflowClient()
    if all(file.path != path for file in client.list_artifacts(trial.run_id, "predictions")):
        return None
    return pd.read_parquet(client.download_artifacts(trial.run_id, path), columns=columns)


def _sqlite_file() -> Path | None:
    """The store's file, where it is one."""
    uri = mlflow.get_tracking_uri()
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _ask(
    trials: Sequence[TrialRecord], keys: Sequence[str]
) -> Iterator[tuple[str, str, int, float]]:
    client = MlflowClient()
    for trial in trials:
        for key in keys:
            history = client.get_metric_history(trial.run_id, key)
            for point in sorted(history, key=lambda point: point.timestamp):
                yield trial.run_id, key, point.step, point.value
