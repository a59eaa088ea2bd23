"""Callbacks of `fit`: each step and the end of each epoch of a trial."""

import time

import keras
import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from src.core import names
from src.core.console import stderr
from src.data.epoch_batches import EpochBatches
from src.tracking import sibling_curves
from src.training import pruning
from src.training.activations import Inputs
from src.training.active import ActiveTrial, epoch_line
from src.training.history import epoch_record
from src.training.measurement import Measured, epoch_metrics
from src.training.program import Program


class DivergedError(RuntimeError):
    """The loss of a step is no number; its arguments are the epoch and the step, from 1."""


class StepWatch(keras.callbacks.Callback):
    """Selects each epoch's batches, shows every step, and ends a trial whose loss is no number.

    Keras calls it after a step in a thread of its own, so that a GPU need not wait while a loss is
    read. It may therefore end a trial a few steps late, but within the epoch.

    Attributes:
        bar: Progress bar to enter around `fit`, so that it is removed in any case.
    """

    async_safe = True  # for Keras

    def __init__(self, batches: EpochBatches) -> None:
        super().__init__()
        self._batches = batches
        self._failed: list[int] = []  # steps whose loss was no number
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(), console=stderr, transient=True,
            disable=not stderr.is_terminal,
        )  # fmt: skip

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Selects the epoch's batches, which Keras reads after this call, and starts a bar."""
        self._batches.epoch = epoch
        self._task = self.bar.add_task(
            f"epoch {epoch + 1}/{self.params['epochs']}", total=self.params["steps"], loss=""
        )

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Checks the running loss, which stays no number once it is none."""
        loss = (logs or {})["loss"]
        if not np.isfinite(loss):
            self._failed.append(batch + 1)
            raise DivergedError(self._batches.epoch + 1, min(self._failed))
        self.bar.update(self._task, advance=1, loss=f"loss {loss:.4g}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Removes the bar."""
        self.bar.remove_task(self._task)


class EpochEnd(keras.callbacks.Callback):
    """Measures, saves, logs and shows every finished epoch, and ends a trial that is over.

    Attributes:
        measured: Training and validation faces as the best epoch and the last epoch predict them,
            by epoch; without those before an interruption.
    """

    def __init__(self, trial: ActiveTrial, program: Program, inputs: Inputs) -> None:
        """Sets up, and logs the epochs that the run lacks.

        Args:
            trial: The trial.
            program: Its model.
            inputs: What the model is trained and measured on.
        """
        super().__init__()
        self._trial = trial
        self._program = program
        self._inputs = inputs
        self.measured: dict[int, dict[str, Measured]] = {}
        if trial.num_inherited:
            last_epoch = trial.config.fit.last_epoch
            stderr.print(f"Resuming after epoch {trial.num_inherited} of {last_epoch}.")
            trial.run.log_epochs(trial.history.epochs)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Measures, saves, logs and shows an epoch.

        It is saved before it is logged, so that no logged epoch is trained again.
        """
        trial, fit = self._trial, self._trial.config.fit
        train_seconds = time.perf_counter() - self._started
        measured = self._inputs.measure(self.model, fit.eval_batch_size)
        errors = epoch_metrics(measured, self.model.loss)
        record = epoch_record(
            errors,
            epoch + 1,
            running_loss=float((logs or {})["loss"]),
            learning_rate=float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            num_faces=len(trial.dataset.part("train")),
            train_seconds=train_seconds,
            epoch_seconds=time.perf_counter() - self._started,
        )
        if trial.add(record, self.params["steps"]):
            history = trial.history
            self.measured[len(history)] = measured
            for number in self.measured.keys() - {history.best_epoch, len(history)}:
                del self.measured[number]
            trial.checkpoint.save(self._program, history, ends=len(history) == fit.epochs)
            trial.run.log_epochs(history.epochs)
            left = (fit.last_epoch - len(history)) * history.typical(names.EPOCH_SECONDS)
            stderr.print(epoch_line([record], fit.last_epoch, record[names.EPOCH_SECONDS], left))
        if self.is_over():
            self.model.stop_training = True

    def is_over(self) -> bool:
        """Returns whether the trial ends after this epoch; records the reason if it is pruned.

        Must also be asked before training: a trial may have been interrupted between its last
        epoch and its end.
        """
        if self._trial.is_over:
            return True
        reason = _reason_to_prune(self._trial)
        if reason:
            self._trial.run.set_pruned(reason)
        return bool(reason)


def _reason_to_prune(trial: ActiveTrial) -> str:
    """Reads the study's other trials when the pruner has to decide, and only then."""
    config, history = trial.config, trial.history
    if not pruning.is_due(config.pruner, len(history), config.fit.last_epoch):
        return ""
    metric = history.objective.epoch_metric or names.VAL_MAE  # as in `History.costs`
    siblings = sibling_curves(
        trial.run.experiment_id, config.study.name, trial.dataset.digest, trial.run.id, metric
    )
    costs = [[history.objective.cost(value) for value in curve] for curve in siblings]
    return pruning.reason_to_prune(config.pruner, history.costs, costs, config.fit.last_epoch)
