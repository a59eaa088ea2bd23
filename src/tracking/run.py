"""A trial's run in MLflow."""

import io
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from src.core import names
from src.core.console import stderr
from src.core.names import State
from src.tracking.retry import is_busy, patient, undisturbed
from src.tracking.store import MAX_PARAM_LENGTH, context_tags

_DPI = 120


class Run:
    """An open run. MLflow's "active run" is not used, so a process can have any number of them.

    Attributes:
        id: MLflow's.
        experiment_id: MLflow's.
        is_new: Whether the run has no parameters yet.
        infeasible: Reason why the configuration cannot be evaluated, or empty.
        pruned: Reason why the trial was cut short, or empty.
        is_open: Whether the run's end is not written yet.
    """

    def __init__(self, run_id: str, experiment_id: str, is_new: bool) -> None:
        self.id = run_id
        self.experiment_id = experiment_id
        self.is_new = is_new
        self.infeasible = ""
        self.pruned = ""
        self.is_open = True
        self._client = MlflowClient()
        self._queued: list[Metric] = []
        self._last_epoch = 0 if is_new else self._last_logged_epoch()

    @patient
    def log_params(self, params: Mapping[str, Any]) -> None:
        """Logs parameters; long values are cut at MLflow's limit."""
        cut = [Param(key, str(value)[:MAX_PARAM_LENGTH]) for key, value in params.items()]
        self._client.log_batch(self.id, params=cut)

    def log_epochs(self, records: Sequence[Mapping[str, float]]) -> None:
        """Logs metrics of finished epochs, each record with its `epoch` (from 1), in one call.

        Epochs that the run already has are left out, since logging a step again would add a second
        point to its curve. While the store is busy, values are queued for the next call.
        """
        for record in records:
            epoch = int(record[names.EPOCH])
            if epoch > self._last_epoch:
                self._add(record, epoch)
                self._last_epoch = epoch
        try:
            with undisturbed():
                self._write()
        except MlflowException as error:
            if not is_busy(error):
                raise
            stderr.print(f"Tracking store busy: {len(self._queued)} metric values queued.")

    def log_final(self, metrics: Mapping[str, float]) -> None:
        """Logs scalars of the whole trial, and all queued values."""
        self._add(metrics, step=0)
        patient(self._write)()

    @patient
    def log_text(self, text: str, file: str) -> None:
        """Logs a text artifact."""
        self._client.log_text(self.id, text, file)

    @patient
    def log_table(self, table: pd.DataFrame, file: str) -> None:
        """Logs a table as CSV or Parquet, by the file's suffix."""
        if file.endswith(".parquet"):
            content = table.to_parquet(index=False)
        else:
            content = table.to_csv(index=False).encode()
        self._client.log_stream(self.id, io.BytesIO(content), file)

    @patient
    def log_figure(self, figure: Figure, file: str) -> None:
        """Logs a Matplotlib figure as PNG."""
        self._client.log_figure(self.id, figure, file, save_kwargs={"dpi": _DPI})

    @patient
    def log_faces(self, faces: pd.DataFrame, source: str, name: str, digest: str) -> None:
        """Logs the faces that the trial sees, as MLflow's input dataset."""
        with warnings.catch_warnings():  # MLflow finds two meanings of a local folder
            warnings.simplefilter("ignore", UserWarning)
            described = from_pandas(faces, source, name=name, digest=digest)
        dataset = Dataset(**described.to_dict())
        tags = [InputTag("mlflow.data.context", "training")]
        self._client.log_inputs(self.id, [DatasetInput(dataset, tags)])

    @patient
    def log_model(self, model: Any, image_size: int, output: str) -> None:
        """Logs a Keras model that `mlflow.pyfunc.load_model` loads.

        Args:
            model: Takes uint8 pictures, returns predictions of shape `(n, 1)`.
            image_size: Height and width of the pictures, px.
            output: Name of the predictions in the signature, such as `age_years`.
        """
        import keras
        import mlflow.keras
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        pictures = TensorSpec(np.dtype(np.uint8), (-1, image_size, image_size, 3), "pictures")
        predictions = TensorSpec(np.dtype(np.float32), (-1, 1), output)
        requirements = [f"{name}=={version(name)}" for name in ("keras", keras.backend.backend())]
        params = self._client.get_run(self.id).data.params
        made = self._client.create_logged_model(
            self.experiment_id, "model", self.id, context_tags(), params
        )
        Model.log(  # `mlflow.keras.log_model` would log to the active run
            artifact_path=None,
            flavor=mlflow.keras,
            model=model,
            run_id=self.id,
            model_id=made.model_id,
            signature=ModelSignature(Schema([pictures]), Schema([predictions])),
            pip_requirements=requirements,
        )

    def set_infeasible(self, reason: str) -> None:
        """Notes that the configuration cannot be evaluated: the run will end as FAILED."""
        self.infeasible = reason
        self.set_tags({names.INFEASIBLE: reason})

    def set_pruned(self, reason: str) -> None:
        """Notes that the trial is cut short: the run will be FINISHED, its state PRUNED."""
        self.pruned = reason
        self.set_tags({names.PRUNED: reason})

    @patient
    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags, replacing those of the same name."""
        self._write(tags)

    @patient
    def end(self, status: str, state: State) -> None:
        """Ends the run, after all queued values are written; `status` is MLflow's."""
        self._write({names.STATE: state})
        self._client.set_terminated(self.id, status, _now())
        self.is_open = False

    def close(self) -> None:
        """Ends the run as complete, pruned or infeasible."""
        if self.infeasible:
            self.end("FAILED", State.FAILED)
        else:
            self.end("FINISHED", State.PRUNED if self.pruned else State.COMPLETE)

    def fail(self) -> None:
        """Ends the run as FAILED, with the traceback of the handled exception as an artifact.

        A failure of the store is printed, since the exception that is being handled matters more.
        """
        with store_failure_printed():
            self.log_text(traceback.format_exc(), names.TRACEBACK_FILE)
        with store_failure_printed():
            self.end("FAILED", State.FAILED)
        self.is_open = False  # also if the store refuses its end: it may be deleted

    def _add(self, metrics: Mapping[str, float], step: int) -> None:
        now = _now()
        self._queued += [
            Metric(key, float(value), now, step)
            for key, value in metrics.items()
            if key != names.EPOCH and np.isfinite(value)
        ]

    def _write(self, tags: Mapping[str, str] | None = None) -> None:
        """Writes the queued metrics and the tags in one call."""
        stored = [RunTag(key, str(value)) for key, value in (tags or {}).items()]
        try:
            self._client.log_batch(self.id, self._queued, tags=stored)
        except MlflowException as error:
            if not is_busy(error):  # refused values would be refused again at the run's end
                self._queued = []
            raise
        self._queued = []

    @patient
    def _last_logged_epoch(self) -> int:
        history = self._client.get_metric_history(self.id, names.VAL_MAE)
        return max((point.step for point in history), default=0)


def _now() -> int:
    return int(time.time() * 1000)


@contextmanager
def store_failure_printed() -> Iterator[None]:
    """Prints failures of the tracking store in the body."""
    try:
        yield
    except (MlflowException, OSError) as error:
        stderr.print(f"The tracking store cannot be written: {error}")
