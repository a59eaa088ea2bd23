"""One trial's run in MLflow, and what is logged to it."""

import functools
import io
import json
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from src.core.console import stderr
from src.core.names import State
from src.tracking import artifacts, entries, provenance
from src.tracking.entries import Entries
from src.tracking.retry import is_busy, patient, undisturbed
from src.tracking.store import context_tags

_MAX_PARAM_LENGTH = 6000  # characters; MLflow's own limit
_DPI = 120
_NUM_FACES_LOOKED_AT = 1000  # to tell a column's type; MLflow looks at every face, for 40 ms


class Run:
    """A run that is open. Numbers that cannot be written now are kept and written later.

    Any number of runs can be open in one process: MLflow's own «active run» is not used.

    Attributes:
        id: MLflow's.
        experiment_id: MLflow's.
        is_new: Whether nothing was logged to it yet; parameters are what it is judged by.
        infeasible: Why the configuration cannot be evaluated, or empty.
        pruned: Why the trial was cut short, or empty.
        is_open: Whether its end is not written yet.
        fault: Why the store refused what it was to get; None where it did not. What is logged
            after a fault is lost.
        is_held: Whether all but files waits for `write_waiting`, which writes for many at once.
    """

    def __init__(
        self, run_id: str, experiment_id: str, is_new: bool, artifact_uri: str | None = None
    ) -> None:
        """Go on with a run that exists.

        Args:
            run_id: See above.
            experiment_id: See above.
            is_new: See above.
            artifact_uri: Where its files lie; None to ask the store when there is one.
        """
        self.id = run_id
        self.experiment_id = experiment_id
        self.is_new = is_new
        self.infeasible = ""
        self.pruned = ""
        self.is_open = True
        self.fault: MlflowException | None = None
        self.is_held = False
        self._artifact_uri = artifact_uri
        self._waiting = Entries()
        self._is_urgent = False
        self._last_epoch = 0 if is_new else self._last_logged_epoch()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """All at once; long values are cut at MLflow's limit."""
        self._waiting.params |= {
            key: str(value)[:_MAX_PARAM_LENGTH] for key, value in params.items()
        }
        self._write()

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
        self._write(is_urgent=False)

    def log_final(self, metrics: Mapping[str, float]) -> None:
        """Scalars of the whole trial; also writes whatever is still waiting."""
        self._add(metrics, step=0)
        self._write()

    @patient
    def log_text(self, text: str, file: str) -> None:
        """A text artifact."""
        artifacts.put(self.id, self._folder, file, text.encode())

    @patient
    def log_table(self, table: pd.DataFrame, file: str) -> None:
        """A table as CSV or Parquet, by the file's suffix."""
        stream = io.BytesIO()
        if file.endswith(".parquet"):
            table.to_parquet(stream, index=False)
        else:
            table.to_csv(stream, index=False)
        artifacts.put(self.id, self._folder, file, stream.getvalue())

    @patient
    def log_figure(self, figure: Figure, file: str) -> None:
        """A Matplotlib figure as PNG.

        `Figure.savefig` would draw it twice, the first time into the void.
        """
        stream = io.BytesIO()
        figure.set_dpi(_DPI)
        FigureCanvasAgg(figure).print_png(stream, pil_kwargs={"compress_level": 1})
        artifacts.put(self.id, self._folder, file, stream.getvalue())

    def log_faces(self, faces: pd.DataFrame, source: str, name: str, digest: str) -> None:
        """Which faces the trial saw, as MLflow's input dataset."""
        self._waiting.inputs.append(_input(faces, source, name, digest))
        self._write()

    @patient
    def log_model(self, model: Any, image_size: int) -> None:
        """The model, loadable by `mlflow.pyfunc.load_model`: uint8 pictures in, ages out."""
        import keras
        import mlflow.keras
        from mlflow.models import Model
        from mlflow.models.signature import ModelSignature
        from mlflow.types import Schema, TensorSpec

        pictures = TensorSpec(np.dtype(np.uint8), (-1, image_size, image_size, 3), "pictures")
        ages = TensorSpec(np.dtype(np.float32), (-1, 1), "age_years")
        requirements = [f"keras=={keras.__version__}"]
        if keras.backend.backend() == "tensorflow":
            requirements.append(f"tensorflow=={provenance.version('tensorflow')}")
        client = MlflowClient()
        made = client.create_logged_model(
            self.experiment_id,
            "model",
            self.id,
            context_tags(),
            client.get_run(self.id).data.params,
        )
        Model.log(  # `mlflow.keras.log_model` is both for the active run
            artifact_path=None,
            flavor=mlflow.keras,
            model=model,
            run_id=self.id,
            model_id=made.model_id,
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

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tags, replacing those of the same name."""
        self._waiting.tags |= tags
        self._write()

    def end(self, status: int, state: State) -> None:
        """Close the run; `status` is MLflow's. Also writes whatever is still waiting."""
        self._waiting.status = RunStatus.to_string(status)
        self._waiting.end_time = int(time.time() * 1000)
        self.set_tags({"state": state})

    @functools.cached_property
    def _folder(self) -> Path | None:
        if self._artifact_uri is None:
            self._artifact_uri = MlflowClient().get_run(self.id).info.artifact_uri
        return artifacts.local_folder(self._artifact_uri)

    def _add(self, metrics: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        self._waiting.metrics += [
            Metric(key, float(value), now, step)
            for key, value in metrics.items()
            if key != "epoch" and np.isfinite(value)
        ]

    def _write(self, is_urgent: bool = True) -> None:
        self._is_urgent |= is_urgent
        if self.is_held:
            return
        write_waiting([self])
        if self.fault is not None:
            raise self.fault

    @patient
    def _last_logged_epoch(self) -> int:
        history = MlflowClient().get_metric_history(self.id, "mae/val")
        return max((point.step for point in history), default=0)


def write_waiting(runs: Sequence[Run]) -> None:
    """Write what waits in these runs, in one transaction where the store allows.

    A busy store is waited for, unless nothing but numbers of epochs waits: they go on waiting.
    A run that the store refuses has a `fault` then; the others get what is theirs.
    """
    waiting = {run.id: run._waiting for run in runs if run._waiting and run.fault is None}
    if any(run._is_urgent for run in runs):
        refused = patient(entries.write)(waiting)
    else:
        try:
            with undisturbed():
                refused = entries.write(waiting)
        except MlflowException as error:
            if not is_busy(error):
                raise
            count = sum(len(its.metrics) for its in waiting.values())
            stderr.print(f"The tracking store is busy; {count} numbers wait.")
            return
    for run in runs:
        run.fault = run.fault or refused.get(run.id)
        run.is_open = run.is_open and run._waiting.end_time is None
        run._waiting = Entries()
        run._is_urgent = False


_INPUTS: dict[tuple[str, str, str], DatasetInput] = {}
"""Descriptions of data sets by source, name and digest: the trials of a process share them."""


def _input(faces: pd.DataFrame, source: str, name: str, digest: str) -> DatasetInput:
    key = (source, name, digest)
    if key not in _INPUTS:
        with warnings.catch_warnings():  # MLflow 3.17 knows two readings of a local folder
            warnings.simplefilter("ignore", UserWarning)
            head = from_pandas(faces.head(_NUM_FACES_LOOKED_AT), source, name=name, digest=digest)
        size = {"num_rows": len(faces), "num_elements": int(faces.size)}
        described = Dataset(**(head.to_dict() | {"profile": json.dumps(size)}))
        _INPUTS[key] = DatasetInput(described, [InputTag("mlflow.data.context", "training")])
    return _INPUTS[key]
