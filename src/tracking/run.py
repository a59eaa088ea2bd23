"""One trial's run in MLflow: opened, written and closed in its true state."""

import io
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from src.console import stderr
from src.tracking import provenance
from src.tracking.patience import is_busy, patient
from src.tracking.state import State
from src.tracking.store import mend_stale_runs, open_store, process_tags

_MAX_PARAM_LENGTH = 6000  # characters; MLflow's own limit
_MAX_BATCH = 1000  # metrics a call; MLflow's own limit
_ENDINGS = ("infeasible", "pruned", "failure")  # tags that say why a trial ended as it did


class Run:
    """A run that is open. Numbers that cannot be written now are kept and written later.

    Attributes:
        id: MLflow's.
        experiment_id: MLflow's.
        is_new: Whether nothing was logged to it yet; parameters are what it is judged by.
        infeasible: Why the configuration cannot be evaluated, or empty.
        pruned: Why the trial was cut short, or empty.
    """

    def __init__(self, run_id: str, experiment_id: str, is_new: bool) -> None:
        self.id = run_id
        self.experiment_id = experiment_id
        self.is_new = is_new
        self.infeasible = ""
        self.pruned = ""
        self._client = MlflowClient()
        self._pending: list[Metric] = []
        self._last_epoch = 0 if is_new else self._last_logged_epoch()

    @patient
    def log_params(self, params: Mapping[str, Any]) -> None:
        """All at once; long values are cut at MLflow's limit."""
        entities = [Param(key, str(value)[:_MAX_PARAM_LENGTH]) for key, value in params.items()]
        self._client.log_batch(self.id, params=entities)

    def log_epochs(self, records: Sequence[Mapping[str, float]]) -> None:
        """Metrics of finished epochs, each record with its `epoch` (from 1), in one call.

        Epochs that the run already has are left out: logging a step twice would add a second
        point to its curve. A store that is busy is tried again with the next epoch.
        """
        for record in records:
            epoch = int(record["epoch"])
            if epoch > self._last_epoch:
                self._add(record, epoch)
                self._last_epoch = epoch
        try:
            self._write_pending()
        except MlflowException as error:
            if not is_busy(error):
                raise
            stderr.print(f"The tracking store is busy; {len(self._pending)} numbers wait.")

    def log_final(self, metrics: Mapping[str, float]) -> None:
        """Scalars of the whole trial; also writes whatever is still waiting."""
        self._add(metrics, step=0)
        patient(self._write_pending)()

    @patient
    def log_text(self, text: str, file: str) -> None:
        """A text artifact."""
        self._client.log_text(self.id, text, file)

    @patient
    def log_table(self, table: pd.DataFrame, file: str) -> None:
        """A table as CSV or Parquet, by the file's suffix."""
        stream = io.BytesIO()
        if file.endswith(".parquet"):
            table.to_parquet(stream, index=False)
        else:
            table.to_csv(stream, index=False)
        stream.seek(0)
        self._client.log_stream(self.id, stream, file)

    @patient
    def log_figure(self, figure: Figure, file: str) -> None:
        """A Matplotlib figure as PNG."""
        self._client.log_figure(self.id, figure, file, save_kwargs={"dpi": 120})

    @patient
    def log_faces(self, faces: pd.DataFrame, source: str, name: str, digest: str) -> None:
        """Which faces the trial saw, as MLflow's input dataset."""
        with warnings.catch_warnings():  # MLflow 3.17 knows two readings of a local folder
            warnings.simplefilter("ignore", UserWarning)
            dataset = from_pandas(faces, source=source, name=name, digest=digest)
        mlflow.log_input(dataset, context="training")

    @patient
    def log_model(self, model: Any, image_size: int) -> None:
        """The model, loadable by `mlflow.pyfunc.load_model`: uint8 pictures in, ages out."""
        import keras
        import mlflow.keras
        from mlflow.models.signature import ModelSignature
        from mlflow.types import Schema, TensorSpec

        pictures = TensorSpec(np.dtype(np.uint8), (-1, image_size, image_size, 3), "pictures")
        ages = TensorSpec(np.dtype(np.float32), (-1, 1), "age_years")
        requirements = [f"keras=={keras.__version__}"]
        if keras.backend.backend() == "tensorflow":
            requirements.append(f"tensorflow=={provenance.version('tensorflow')}")
        mlflow.keras.log_model(
            model,
            name="model",
            signature=ModelSignature(Schema([pictures]), Schema([ages])),
            pip_requirements=requirements,
        )

    def set_infeasible(self, reason: str) -> None:
        """The configuration cannot be evaluated: the run will be FAILED, and say why."""
        self.infeasible = reason
        self.set_tags({"infeasible": reason})

    def set_pruned(self, reason: str) -> None:
        """The trial is cut short: the run will be FINISHED, its state PRUNED, and say why."""
        self.pruned = reason
        self.set_tags({"pruned": reason})

    def describe(self, text: str) -> None:
        """The Markdown that MLflow's page shows as the run's description."""
        self.set_tags({"mlflow.note.content": text})

    @patient
    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tags, replacing those of the same name."""
        entities = [RunTag(key, value) for key, value in tags.items()]
        self._client.log_batch(self.id, tags=entities)

    def _add(self, metrics: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        self._pending += [
            Metric(key, float(value), now, step)
            for key, value in metrics.items()
            if key != "epoch" and np.isfinite(value)
        ]

    def _write_pending(self) -> None:
        while self._pending:
            self._client.log_batch(self.id, metrics=self._pending[:_MAX_BATCH])
            del self._pending[:_MAX_BATCH]

    @patient
    def _last_logged_epoch(self) -> int:
        return max((point.step for point in self._client.get_metric_history(self.id, "mae/val")),
                   default=0)  # fmt: skip


@contextmanager
def trial_run(
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    resume_id: str | None,
    system_metrics: bool,
) -> Iterator[Run]:
    """Open a run, or one that was interrupted or prepared, and close it in its true state.

    FINISHED when the body ends, also of a trial that is cut short; KILLED when it is
    interrupted; FAILED, with the traceback as the artifact `traceback.txt`, when it raises.
    Before, runs on this host whose process has died are marked KILLED.

    Args:
        experiment: Name of the experiment; created where it is missing.
        name: Name of a new run.
        tags: Tags of the run; `state` is kept here.
        resume_id: Run to go on with. It must still exist, and be neither finished nor another
            configuration's, which its tag `configuration_hash` tells; else a new run is opened.
        system_metrics: Whether to record CPU, memory and GPU.
    """
    experiment_id = open_store(experiment)
    mend_stale_runs(experiment_id)
    run = _open(experiment_id, name, tags, resume_id, system_metrics)
    status, state = RunStatus.FINISHED, State.COMPLETE
    try:
        yield run
        if run.infeasible:
            status, state = RunStatus.FAILED, State.FAILED
        elif run.pruned:
            state = State.PRUNED
    except (KeyboardInterrupt, SystemExit):
        status, state = RunStatus.KILLED, State.WAITING
        raise
    except BaseException:
        status, state = RunStatus.FAILED, State.FAILED
        with _second_fault_told():
            run.log_text(traceback.format_exc(), "traceback.txt")
        raise
    finally:
        with _second_fault_told():
            run.set_tags({"state": state})
        patient(mlflow.end_run)(RunStatus.to_string(status))


@patient
def _open(
    experiment_id: str,
    name: str,
    tags: Mapping[str, str],
    resume_id: str | None,
    system_metrics: bool,
) -> Run:
    all_tags = {**tags, **process_tags(), "state": State.RUNNING}
    before = _find(resume_id)
    if before is None or not _goes_on(before, experiment_id, tags):
        active = mlflow.start_run(
            experiment_id=experiment_id,
            run_name=name,
            tags=all_tags,
            log_system_metrics=system_metrics,
        )
        return Run(active.info.run_id, active.info.experiment_id, is_new=True)
    # Tags first: else it would be RUNNING in the name of a dead process, and be mended by others.
    client, run_id = MlflowClient(), before.info.run_id
    client.log_batch(run_id, tags=[RunTag(*tag) for tag in all_tags.items()])
    for tag in before.data.tags.keys() & _ENDINGS:
        client.delete_tag(run_id, tag)
    active = mlflow.start_run(run_id=run_id, log_system_metrics=system_metrics)
    return Run(active.info.run_id, active.info.experiment_id, is_new=not before.data.params)


@contextmanager
def _second_fault_told() -> Iterator[None]:
    """Say that the store failed too, and go on: the first fault is the one to raise."""
    try:
        yield
    except (MlflowException, OSError) as error:
        stderr.print(f"The tracking store cannot be written: {error}")


def _find(run_id: str | None) -> MlflowRun | None:
    if run_id is None:
        return None
    try:
        return MlflowClient().get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _goes_on(run: MlflowRun, experiment_id: str, tags: Mapping[str, str]) -> bool:
    """Whether a run can take in this trial. The same at another fidelity is another trial."""
    key = "configuration_hash"
    return bool(
        run.info.lifecycle_stage == "active"
        and run.info.experiment_id == experiment_id
        and run.info.status != RunStatus.to_string(RunStatus.FINISHED)
        and run.data.tags.get(key, tags.get(key)) == tags.get(key)
    )
