"""One trial's run in MLflow: opened, written and closed in its true state."""

import io
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Metric, Param, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from src.console import stderr
from src.tracking import provenance
from src.tracking.store import mend_stale_runs, open_store, process_tags

_MAX_PARAM_LENGTH = 6000  # characters; MLflow's own limit
_BUSY = "TEMPORARILY_UNAVAILABLE"


class Run:
    """A run that is open. Numbers that cannot be written now are kept and written later."""

    def __init__(self, run_id: str, experiment_id: str) -> None:
        self.id = run_id
        self.experiment_id = experiment_id
        self._client = MlflowClient()
        self._pending: list[Metric] = []
        self._infeasible = ""

    def log_params(self, params: Mapping[str, Any]) -> None:
        """All at once; long values are cut at MLflow's limit."""
        entities = [Param(key, str(value)[:_MAX_PARAM_LENGTH]) for key, value in params.items()]
        self._client.log_batch(self.id, params=entities)

    def log_epochs(self, records: Sequence[Mapping[str, float]]) -> None:
        """Metrics of finished epochs, each record with its `epoch` (from 1), in one call.

        Epochs that the run already has are left out: logging a step twice would add a second
        point to its curve. A store that is busy is tried again with the next epoch.
        """
        now = int(time.time() * 1000)
        logged = {metric.step for metric in self._client.get_metric_history(self.id, "mae/val")} | {
            metric.step for metric in self._pending
        }
        self._pending += [
            Metric(key, float(value), now, int(record["epoch"]))
            for record in records
            if int(record["epoch"]) not in logged
            for key, value in record.items()
            if key != "epoch" and np.isfinite(value)
        ]
        self._flush(num_tries=1)

    def log_final(self, metrics: Mapping[str, float]) -> None:
        """Scalars of the whole trial; also writes whatever is still waiting."""
        now = int(time.time() * 1000)
        self._pending += [
            Metric(key, float(value), now, 0)
            for key, value in metrics.items()
            if np.isfinite(value)
        ]
        self._flush(num_tries=10)

    def log_text(self, text: str, file: str) -> None:
        """A text artifact."""
        self._client.log_text(self.id, text, file)

    def log_table(self, table: pd.DataFrame, file: str) -> None:
        """A table as CSV or Parquet, by the file's suffix."""
        stream = io.BytesIO()
        if file.endswith(".parquet"):
            table.to_parquet(stream, index=False)
        else:
            table.to_csv(stream, index=False)
        stream.seek(0)
        self._client.log_stream(self.id, stream, file)

    def log_figure(self, figure: Figure, file: str) -> None:
        """A Matplotlib figure as PNG."""
        self._client.log_figure(self.id, figure, file, save_kwargs={"dpi": 120})

    def log_faces(self, faces: pd.DataFrame, source: str, name: str, digest: str) -> None:
        """Which faces the trial saw, as MLflow's input dataset."""
        dataset = from_pandas(faces, source=source, name=name, digest=digest)
        mlflow.log_input(dataset, context="training")

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
        self._infeasible = reason
        self.set_tags({"infeasible": reason})

    @property
    def is_infeasible(self) -> bool:
        """Whether `set_infeasible` was called."""
        return bool(self._infeasible)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tags, replacing those of the same name."""
        for key, value in tags.items():
            self._client.set_tag(self.id, key, value)

    def _flush(self, num_tries: int) -> None:
        for number in range(num_tries):
            try:
                self._client.log_batch(self.id, metrics=self._pending)
                self._pending = []
                return
            except MlflowException as error:
                if error.error_code != _BUSY:
                    raise
                if number == num_tries - 1:
                    stderr.print(f"The tracking store is busy; {len(self._pending)} numbers wait.")
                else:
                    time.sleep(1)


@contextmanager
def trial_run(
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    resume_id: str | None,
    system_metrics: bool,
) -> Iterator[Run]:
    """Open a run, or reopen an interrupted one, and close it in its true state.

    FINISHED when the body ends; KILLED when it is interrupted; FAILED, with the traceback as
    the artifact `traceback.txt`, when it raises. Before, runs on this host whose process has
    died are marked KILLED.

    Args:
        experiment: Name of the experiment; created where it is missing.
        name: Name of a new run.
        tags: Tags of the run; `state` is kept here.
        resume_id: Run to go on with, if it still exists.
        system_metrics: Whether to record CPU, memory and GPU.
    """
    experiment_id = open_store(experiment)
    mend_stale_runs(experiment_id)
    arguments: dict[str, Any] = {"experiment_id": experiment_id, "run_name": name}
    if resume_id is not None and _exists(resume_id):
        arguments = {"run_id": resume_id}
    all_tags = {**tags, **process_tags(), "state": "RUNNING"}
    active = mlflow.start_run(**arguments, tags=all_tags, log_system_metrics=system_metrics)
    run = Run(active.info.run_id, experiment_id)
    status, state = RunStatus.FINISHED, "COMPLETE"
    try:
        yield run
        if run.is_infeasible:
            status, state = RunStatus.FAILED, "FAILED"
    except (KeyboardInterrupt, SystemExit):
        status, state = RunStatus.KILLED, "FAILED"
        raise
    except BaseException:
        status, state = RunStatus.FAILED, "FAILED"
        run.log_text(traceback.format_exc(), "traceback.txt")
        raise
    finally:
        run.set_tags({"state": state})
        mlflow.end_run(RunStatus.to_string(status))


def _exists(run_id: str) -> bool:
    try:
        return bool(MlflowClient().get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException:
        return False
