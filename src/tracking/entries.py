"""What runs are to get, and one transaction that gives it to all of them."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlflow.entities import DatasetInput, Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient
from mlflow.utils.uri import append_to_uri_path
from mlflow.utils.validation import _validate_batch_log_data
from sqlalchemy.orm import Session

from src.tracking.database import Row, run_all, sqlite_store, transaction
from src.tracking.retry import is_busy, patient

_RUN_NAME = "mlflow.runName"
_RUNNING = RunStatus.to_string(RunStatus.RUNNING)

_POINT = """
    INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)
    VALUES (:run_uuid, :key, :value, :timestamp, :step, :is_nan)
    ON CONFLICT DO NOTHING
"""
_LATEST_POINT = """
    INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
    VALUES (:run_uuid, :key, :value, :timestamp, :step, :is_nan)
    ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, step = excluded.step,
        timestamp = excluded.timestamp, is_nan = excluded.is_nan
    WHERE (excluded.step, excluded.timestamp, excluded.value)
        > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)
"""
_PARAM = "INSERT INTO params (run_uuid, key, value) VALUES (:run_uuid, :key, :value)"
_TAG = """
    INSERT INTO tags (run_uuid, key, value) VALUES (:run_uuid, :key, :value)
    ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value
"""
_DROPPED_TAG = "DELETE FROM tags WHERE run_uuid = :run_uuid AND key = :key"
_NAME = "UPDATE runs SET name = :name WHERE run_uuid = :run_uuid"  # MLflow keeps it as a tag too
_STATUS = """
    UPDATE runs SET status = :status, end_time = coalesce(:end_time, end_time)
    WHERE run_uuid = :run_uuid
"""
_DATA_SET = """
    INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type,
        dataset_source, dataset_schema, dataset_profile)
    SELECT :dataset_uuid, experiment_id, :name, :digest, :source_type, :source, :schema, :profile
    FROM runs WHERE run_uuid = :run_uuid
    ON CONFLICT DO NOTHING
"""
_INPUT = """
    INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)
    SELECT :input_uuid, 'DATASET', dataset_uuid, 'RUN', run_uuid
    FROM runs JOIN datasets USING (experiment_id)
    WHERE run_uuid = :run_uuid AND datasets.name = :name AND digest = :digest
    ON CONFLICT DO NOTHING
"""
_INPUT_TAG = """
    INSERT INTO input_tags (input_uuid, name, value)
    SELECT input_uuid, :tag, :value FROM inputs WHERE input_uuid = :input_uuid
"""
_STATEMENTS = (_POINT, _LATEST_POINT, _PARAM, _TAG, _DROPPED_TAG, _NAME, _STATUS, _DATA_SET, _INPUT,
               _INPUT_TAG)  # fmt: skip
"""In the order in which they are run."""

_LIFECYCLE = "SELECT lifecycle_stage FROM runs WHERE run_uuid = :run_uuid"

_RUN = """
    INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,
        start_time, source_version, lifecycle_stage, artifact_uri, experiment_id)
    VALUES (:run_uuid, :name, 'UNKNOWN', '', '', :user_id, :status, :start_time, '', 'active',
        :artifact_uri, :experiment_id)
"""


@dataclass
class Entries:
    """What one run is to get.

    Attributes:
        metrics: Points of its curves.
        params: Its parameters, which cannot change.
        tags: Tags, replacing those of the same name.
        dropped_tags: Tags to take away.
        inputs: Data sets that it saw.
        status: Its new status in MLflow; None where it stays.
        end_time: Milliseconds since 1970, with a status; None where it stays.
    """

    metrics: list[Metric] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    dropped_tags: set[str] = field(default_factory=set)
    inputs: list[DatasetInput] = field(default_factory=list)
    status: str | None = None
    end_time: int | None = None

    def __bool__(self) -> bool:
        return self != Entries()


@dataclass(frozen=True)
class NewRun:
    """A run that is to be made.

    Attributes:
        name: Its name on MLflow's page.
        tags: Its tags.
        status: MLflow's, such as `RUNNING`.
    """

    name: str
    tags: Mapping[str, str]
    status: str


def write(entries: Mapping[str, Entries]) -> dict[str, MlflowException]:
    """Give each run, by its id, what it is to get; to give it once more changes nothing.

    In a SQLite database this is one transaction for all runs. It fills MLflow's own tables with
    the rows that its client would write. On a server, or where the database refuses a row or a run
    is gone, it is the client's calls, run by run.

    Returns:
        Why runs were refused, by id: gone, a name with forbidden letters, a parameter that has
        another value already. All others have got what is theirs.

    Raises:
        MlflowException: If the store is busy (see `is_busy`): whatever is missing is to be written
            again.
    """
    entries = {run_id: its for run_id, its in entries.items() if its}
    store = sqlite_store()
    if store is not None and entries:
        try:
            _write_at_once(store, entries)
        except MlflowException as error:
            if is_busy(error):
                raise
        else:
            return {}
    refused = {}
    for run_id, its in entries.items():
        try:
            _write_one_by_one(run_id, its)
        except MlflowException as error:
            if is_busy(error):
                raise
            refused[run_id] = error
    return refused


def create(experiment_id: str, runs: Sequence[NewRun]) -> list[tuple[str, str]]:
    """Make runs; the id and the artifact location of each, in their order. Waits for a busy store.

    In one transaction where the store is a SQLite database, as in `write`.
    """
    store = sqlite_store()
    if store is not None and runs:
        return patient(_create_at_once)(store, experiment_id, runs)
    return [_create_one(experiment_id, run) for run in runs]


def _write_one_by_one(run_id: str, entries: Entries) -> None:
    """In this order: parameters say that the inputs are there, a status that the rest is."""
    client = MlflowClient()
    if entries.inputs:
        client.log_inputs(run_id, entries.inputs)
    client.log_batch(
        run_id,
        metrics=entries.metrics,
        params=[Param(*param) for param in entries.params.items()],
        tags=[RunTag(*tag) for tag in entries.tags.items()],
    )
    if entries.dropped_tags:
        for tag in entries.dropped_tags & client.get_run(run_id).data.tags.keys():
            client.delete_tag(run_id, tag)
    if entries.end_time is not None:
        client.set_terminated(run_id, entries.status, entries.end_time)
    elif entries.status is not None:
        client.update_run(run_id, entries.status)


def _write_at_once(store: SqlAlchemyStore, entries: Mapping[str, Entries]) -> None:
    names = {metric.key: metric for its in entries.values() for metric in its.metrics}
    _validate_batch_log_data(list(names.values()), [], [])
    rows: dict[str, list[Row]] = {statement: [] for statement in _STATEMENTS}
    for run_id, its in entries.items():
        for statement, row in _rows(store, its):
            rows[statement].append({"run_uuid": run_id, **row})
    with transaction(store) as session:
        _refuse_deleted(session, list(entries))
        for statement in _STATEMENTS:
            run_all(session, statement, rows[statement])


def _refuse_deleted(session: Session, run_ids: Sequence[str]) -> None:
    """Let the client say which run somebody has deleted; to SQL it is a run like others."""
    for run_id in run_ids:
        found = session.connection().exec_driver_sql(_LIFECYCLE, {"run_uuid": run_id}).first()
        if found is None or found[0] != "active":
            raise MlflowException(f"The run {run_id} is gone")


def _rows(store: SqlAlchemyStore, entries: Entries) -> Iterator[tuple[str, Row]]:
    """What a run's entries come to: statements, each with values for it."""
    for metric in entries.metrics:
        is_nan, value = store.sanitize_metric_value(metric.value)
        point: Row = {"key": metric.key, "value": value, "timestamp": metric.timestamp,
                      "step": metric.step, "is_nan": is_nan}  # fmt: skip
        yield _POINT, point
        yield _LATEST_POINT, point
    _, params, tags = _validate_batch_log_data(
        [],
        [Param(*param) for param in entries.params.items()],
        [RunTag(*tag) for tag in entries.tags.items()],
    )
    for param in params:
        yield _PARAM, {"key": param.key, "value": param.value}
    for tag in tags:
        yield _TAG, {"key": tag.key, "value": tag.value}
    for key in entries.dropped_tags:
        yield _DROPPED_TAG, {"key": key}
    if _RUN_NAME in entries.tags:
        yield _NAME, {"name": entries.tags[_RUN_NAME]}
    if entries.status is not None:
        yield _STATUS, {"status": entries.status, "end_time": entries.end_time}
    for seen in entries.inputs:
        yield from _input_rows(seen)


def _input_rows(seen: DatasetInput) -> Iterator[tuple[str, Row]]:
    """A data set and that it was seen, under ids that count where they are new."""
    data, input_id = seen.dataset, uuid.uuid4().hex
    row: Row = {"dataset_uuid": uuid.uuid4().hex, "input_uuid": input_id, "name": data.name,
                "digest": data.digest, "source_type": data.source_type, "source": data.source,
                "schema": data.schema, "profile": data.profile}  # fmt: skip
    yield _DATA_SET, row
    yield _INPUT, row
    for tag in seen.tags:
        yield _INPUT_TAG, {"input_uuid": input_id, "tag": tag.key, "value": tag.value}


def _create_one(experiment_id: str, run: NewRun) -> tuple[str, str]:
    client = MlflowClient()
    made = patient(client.create_run)(experiment_id, run_name=run.name, tags=dict(run.tags))
    if run.status != _RUNNING:
        patient(client.update_run)(made.info.run_id, run.status)
    return made.info.run_id, made.info.artifact_uri


def _create_at_once(
    store: SqlAlchemyStore, experiment_id: str, runs: Sequence[NewRun]
) -> list[tuple[str, str]]:
    location = store.get_experiment(experiment_id).artifact_location
    created: list[tuple[str, str]] = []
    rows: list[Row] = []
    tags: list[Row] = []
    for run in runs:
        id_ = uuid.uuid4().hex
        artifact_uri = append_to_uri_path(location, id_, store.ARTIFACTS_FOLDER_NAME)
        created.append((id_, artifact_uri))
        rows.append(
            {"run_uuid": id_, "name": run.name, "status": run.status, "artifact_uri": artifact_uri,
             "experiment_id": int(experiment_id), "start_time": int(time.time() * 1000),
             "user_id": run.tags.get("mlflow.user", "unknown")}
        )  # fmt: skip
        tags += [
            {"run_uuid": id_, "key": key, "value": value}
            for key, value in {**run.tags, _RUN_NAME: run.name}.items()
        ]
    with transaction(store) as session:
        run_all(session, _RUN, rows)
        run_all(session, _TAG, tags)
    return created
