"""The tracking store: made once, kept movable, and told the truth about dead runs."""

import functools
import math
import socket
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import mlflow
import psutil
from filelock import FileLock
from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient
from mlflow.tracking.context.registry import resolve_tags

from src.config import Objective
from src.core.names import State
from src.tracking import entries
from src.tracking.database import read, sqlite_store
from src.tracking.entries import Entries
from src.tracking.retry import patient

DATABASE = Path("mlflow.db")
ARTIFACTS = Path("mlruns/artifacts")
_LOCK = Path("mlruns/.store.lock")
_PAGE = 1000  # runs a query
_DESCRIPTION = {
    "mlflow.note.content": "ResNet50 that guesses ages from faces; errors are in years."
}

_PROCESSES = """
    SELECT run_uuid, key, tags.value FROM runs JOIN tags USING (run_uuid)
    WHERE experiment_id = :experiment_id AND status = 'RUNNING' AND lifecycle_stage = 'active'
    AND key IN ('process.host', 'process.id', 'process.started')
"""


@patient
def open_store(experiment: str) -> str:
    """The id of the experiment, which is created with its store where they are missing.

    Without `MLFLOW_TRACKING_URI` the store is `mlflow.db` in the working directory, which is
    where a bare `mlflow ui` looks. Processes that start together wait for one to create it.
    Artifact locations are kept relative, so the project's folder can be moved.
    """
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_LOCK):
        if _is_local() and not DATABASE.exists():
            _create_database()
        client = MlflowClient()
        found = client.get_experiment_by_name(experiment)
        if found is not None and found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        if found is not None:
            return str(found.experiment_id)
        if not _is_local():
            return str(client.create_experiment(experiment, tags=_DESCRIPTION))
        created = client.create_experiment(experiment, str(ARTIFACTS.resolve()), tags=_DESCRIPTION)
        _make_relative(created)
    return str(created)


@patient
def search_all(experiment_id: str, query: str) -> list[MlflowRun]:
    """All active runs of an experiment that a query finds, however many.

    Oldest first: a run that is opened between two pages then shifts neither.
    """
    runs: list[MlflowRun] = []
    token = None
    while True:
        page = MlflowClient().search_runs(
            [experiment_id],
            query,
            ViewType.ACTIVE_ONLY,
            _PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            return runs


def process_tags() -> dict[str, str]:
    """Which process a run belongs to: host, process id and its start time."""
    process = psutil.Process()
    return {
        "process.host": socket.gethostname(),
        "process.id": str(process.pid),
        "process.started": f"{process.create_time():.2f}",
    }


@functools.cache
def context_tags() -> dict[str, str]:
    """What MLflow says of whoever makes a run or a model: the user, the script."""
    return dict(resolve_tags())


@patient
def mend_stale_runs(experiment_id: str) -> None:
    """Mark runs whose process died without a word as KILLED, at their last metric's time.

    Only processes of this host can be judged.
    """
    entries.write(
        {
            run_id: Entries(
                tags={"state": State.WAITING},
                status="KILLED",
                end_time=_last_sign_of_life(run_id),
            )
            for run_id, tags in _running_here(experiment_id).items()
            if not is_alive(tags)
        }
    )


@patient
def best_cost(experiment_id: str, study: str, data_digest: str, objective: Objective) -> float:
    """Returns the lowest cost of a study's complete trials on the same split, else infinity."""
    runs = search_all(
        experiment_id,
        f"tags.study = '{study}' and tags.data_digest = '{data_digest}' "
        f"and tags.state = '{State.COMPLETE}'",
    )
    values = (run.data.metrics.get(objective.metric, math.nan) for run in runs)
    return min(map(objective.cost, values), default=math.inf)


def _create_database() -> None:
    """Let MLflow make its tables under another name first.

    It takes seconds and many steps, and a database that a power cut leaves half made cannot be
    opened again ("duplicate column name").
    """
    unfinished = DATABASE.with_name(f"{DATABASE.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    MlflowClient(f"sqlite:///{unfinished.resolve()}").search_experiments(max_results=1)
    unfinished.replace(DATABASE)


def _is_local() -> bool:
    uri = mlflow.get_tracking_uri()
    return uri.startswith("sqlite:///") and Path(uri.removeprefix("sqlite:///")).resolve() == (
        DATABASE.resolve()
    )


def _make_relative(experiment_id: str) -> None:
    """MLflow makes locations absolute when it creates an experiment, and offers no way back."""
    with sqlite3.connect(DATABASE, timeout=30) as connection:
        connection.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
            (ARTIFACTS.as_posix(), int(experiment_id)),
        )
    connection.close()


def is_alive(tags: Mapping[str, str]) -> bool:
    """Whether the process that a run belongs to is there; another host's cannot be seen."""
    if tags.get("process.host") != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(tags["process.id"]))
        return abs(process.create_time() - float(tags["process.started"])) < 1
    except (psutil.NoSuchProcess, KeyError, ValueError):
        return False


def _running_here(experiment_id: str) -> dict[str, dict[str, str]]:
    """Runs that claim to be running on this host, each with the tags of its process.

    MLflow's client reads all that the runs have logged, which takes seconds for some hundreds.
    """
    store, host = sqlite_store(), socket.gethostname()
    if store is None:
        query = f"attributes.status = 'RUNNING' and tags.`process.host` = '{host}'"
        runs = search_all(experiment_id, query)
        return {run.info.run_id: run.data.tags for run in runs}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for run_id, key, value in read(store, _PROCESSES, {"experiment_id": int(experiment_id)}):
        found[run_id][key] = value
    return {run_id: tags for run_id, tags in found.items() if tags.get("process.host") == host}


def _last_sign_of_life(run_id: str) -> int:
    """Milliseconds since 1970 of the last metric, or of the start."""
    client = MlflowClient()
    times = [
        metric.timestamp
        for key in ("mae/val", "mae/train")
        for metric in client.get_metric_history(run_id, key)
    ]
    return int(max([client.get_run(run_id).info.start_time, *times]))
