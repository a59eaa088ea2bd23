"""The tracking store: its creation, its experiments, and runs whose process has died."""

import math
import socket
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import mlflow
import psutil
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run

from src.config import Objective
from src.config.study_schema import Direction
from src.core import names
from src.core.names import State
from src.tracking.retry import patient

DATABASE = Path("mlflow.db")
ARTIFACTS = Path("mlruns/artifacts")
MAX_PARAM_LENGTH = 6000  # characters; MLflow's own limit
_LOCK = Path("mlruns/.store.lock")
_OLDEST_FIRST = "attributes.start_time ASC"
_DESCRIPTION = {names.NOTE: "Trials of models that predict a number from pictures of faces."}


@patient
def open_store(experiment: str) -> str:
    """Returns the id of the experiment, which is created with its store if they are missing.

    Without `MLFLOW_TRACKING_URI` the store is `mlflow.db` in the working directory, which a bare
    `mlflow ui` shows. Processes that start together wait for one to create it. Artifact locations
    are relative, so that the project's folder can be moved.
    """
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_LOCK):
        if _is_local() and not DATABASE.exists():
            _create_database()
        client = MlflowClient()
        found = client.get_experiment_by_name(experiment)
        if found is None:
            location = str(ARTIFACTS.resolve()) if _is_local() else None
            created = client.create_experiment(experiment, location, tags=_DESCRIPTION)
            if location is not None:
                _make_relative(created)
            return str(created)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


@patient
def find_runs(
    experiment_ids: Sequence[str], query: str = "", order: str = _OLDEST_FIRST, limit: int = 100_000
) -> list[Run]:
    """Returns the active runs of experiments that a query finds.

    Oldest first by default: a run that is opened between two pages then shifts neither.
    """
    found: Any = mlflow.search_runs(
        list(experiment_ids), query, max_results=limit, order_by=[order], output_format="list"
    )
    return list(found)


def sqlite_file() -> Path | None:
    """Returns the file of a SQLite store; None for other stores."""
    uri = mlflow.get_tracking_uri()
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def local_folder(artifact_uri: str) -> Path | None:
    """Returns the folder of a run's artifacts; None if its files are not on this machine."""
    parts = urlsplit(artifact_uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(artifact_uri) if artifact_uri and not parts.scheme else None


def process_tags() -> dict[str, str]:
    """Returns tags that identify this process: host, process id and start time."""
    process = psutil.Process()
    return {
        names.PROCESS_HOST: socket.gethostname(),
        names.PROCESS_ID: str(process.pid),
        names.PROCESS_STARTED: f"{process.create_time():.2f}",
    }


def context_tags() -> dict[str, str]:
    """Returns MLflow's tags of the user and the script that make a run or a model."""
    return {
        names.USER: psutil.Process().username(),
        names.SOURCE_NAME: Path(sys.argv[0]).name,
        names.SOURCE_TYPE: "LOCAL",
    }


@patient
def mend_stale_runs(experiment_id: str) -> None:
    """Marks runs whose process died without closing them as KILLED, at their last metric's time.

    Only processes of this host can be judged.
    """
    client, host = MlflowClient(), socket.gethostname()
    query = f"attributes.status = 'RUNNING' and tags.`{names.PROCESS_HOST}` = '{host}'"
    for run in find_runs([experiment_id], query):
        if not is_alive(run.data.tags):
            history = client.get_metric_history(run.info.run_id, names.VAL_MAE)
            ended = max([run.info.start_time, *(point.timestamp for point in history)])
            client.set_tag(run.info.run_id, names.STATE, State.WAITING)
            client.set_terminated(run.info.run_id, "KILLED", ended)


def is_alive(tags: Mapping[str, str]) -> bool:
    """Returns whether a run's process exists; False for another host's, which cannot be seen."""
    if tags.get(names.PROCESS_HOST) != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(tags[names.PROCESS_ID]))
        return abs(process.create_time() - float(tags[names.PROCESS_STARTED])) < 1
    except (psutil.NoSuchProcess, KeyError, ValueError):
        return False


def best_cost(experiment_id: str, study: str, data_digest: str, objective: Objective) -> float:
    """Returns the lowest cost of a study's complete trials on the same split.

    Infinity if there is none.
    """
    query = (
        f"tags.study = '{study}' and tags.data_digest = '{data_digest}' "
        f"and tags.state = '{State.COMPLETE}'"
    )
    order = "ASC" if objective.direction is Direction.minimize else "DESC"
    runs = find_runs([experiment_id], query, f"metrics.`{objective.metric}` {order}", limit=1)
    values = [run.data.metrics.get(objective.metric, math.nan) for run in runs]
    return min(map(objective.cost, values), default=math.inf)


def _create_database() -> None:
    """Lets MLflow create its tables under another name first.

    It takes seconds and many steps, and a database that a power cut leaves unfinished cannot be
    opened again ("duplicate column name").
    """
    unfinished = DATABASE.with_name(f"{DATABASE.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    MlflowClient(f"sqlite:///{unfinished.resolve()}").search_experiments(max_results=1)
    unfinished.replace(DATABASE)


def _is_local() -> bool:
    file = sqlite_file()
    return file is not None and file.resolve() == DATABASE.resolve()


def _make_relative(experiment_id: str) -> None:
    """Makes an experiment's artifact location relative.

    The only statement that writes to MLflow's tables: its client makes locations absolute when it
    creates an experiment, and cannot change them afterwards.
    """
    with sqlite3.connect(DATABASE, timeout=30) as connection:
        connection.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
            (ARTIFACTS.as_posix(), int(experiment_id)),
        )
    connection.close()
