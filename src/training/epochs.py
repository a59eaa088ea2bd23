"""What happens at every step and after every epoch of a trial."""

import time
from collections.abc import Callable

import keras
import numpy as np
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from src.config.schema import FitConfig
from src.core.console import spell_seconds, stderr
from src.data.epoch_batches import EpochBatches
from src.tracking import Run
from src.training.activations import Inputs
from src.training.checkpoint import Checkpoint
from src.training.history import History
from src.training.measurement import Measured, epoch_metrics
from src.training.program import Program


class DivergedError(RuntimeError):
    """The loss is no longer a number: the configuration is infeasible."""

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__(f"the loss became infinite or not a number in epoch {epoch}, step {step}")

    def reason(self, learning_rate: float) -> str:
        """Why the trial is infeasible, with its `optimizer.learning_rate`."""
        return f"{self}, with optimizer.learning_rate={learning_rate:g}"


class StepWatch(keras.callbacks.Callback):
    """Turns to each epoch's batches, shows every step, and ends a trial whose loss is no number.

    Keras tells it of a step in a thread of its own, so that a GPU goes on while a loss is read.
    That may end a trial a few steps late, but within the epoch.

    Attributes:
        bar: Progress bar to enter around `fit`, so that it goes away however `fit` ends.
    """

    async_safe = True  # for Keras

    def __init__(self, batches: EpochBatches, epochs: int) -> None:
        super().__init__()
        self._batches = batches
        self._epochs = epochs
        self._epoch = 0
        self._failed: list[int] = []  # steps whose loss was no number, in the order of being told
        self._task = TaskID(0)
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(), console=stderr, transient=True,
            disable=not stderr.is_terminal,
        )  # fmt: skip

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Turn to the epoch's batches, which Keras begins to read after this; start a bar."""
        self._batches.epoch = epoch
        self._epoch = epoch + 1
        self._task = self.bar.add_task(
            f"epoch {self._epoch}/{self._epochs}", total=self.params["steps"], loss=""
        )

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Look at the running loss; once not a number, it never is one again."""
        loss = (logs or {})["loss"]
        if not np.isfinite(loss):
            self._failed.append(batch + 1)
            raise DivergedError(self._epoch, min(self._failed))
        self.bar.update(self._task, advance=1, loss=f"loss {loss:.4g}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Take the bar away."""
        self.bar.remove_task(self._task)


class EpochEnd(keras.callbacks.Callback):
    """Measures, saves, logs and shows every finished epoch, and ends a trial that is over.

    Attributes:
        history: Finished epochs, also those before an interruption.
        best: Training and validation faces as the best epoch predicted them; empty where that was
            before an interruption.
    """

    def __init__(
        self,
        fit: FitConfig,
        num_images: int,
        program: Program,
        inputs: Inputs,
        saved: Checkpoint,
        run: Run,
        history: History,
        reason_to_prune: Callable[[History], str],
    ) -> None:
        """Set up, and log what the run lacks of the history.

        Args:
            fit: Epochs, patience, and faces a step when measuring.
            num_images: Training faces an epoch.
            program: What is trained.
            inputs: What it is trained and measured on.
            saved: Where the state after each epoch goes.
            run: Where the metrics go.
            history: Epochs that were finished before an interruption.
            reason_to_prune: Says why the trial should be cut short, or nothing.
        """
        super().__init__()
        self._fit = fit
        self._num_images = num_images
        self._program = program
        self._inputs = inputs
        self._saved = saved
        self._run = run
        self.history = history
        self.best: dict[str, Measured] = {}
        self._reason_to_prune = reason_to_prune
        if len(history):
            stderr.print(f"Going on after epoch {len(history)} of {fit.last_epoch}.")
            run.log_epochs(history.epochs)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Measure, save, log, show; saved before logged, so that no logged epoch runs again."""
        train_seconds = time.perf_counter() - self._started
        measured = self._inputs.measure(self.model, self._fit.eval_batch_size)
        record = epoch_metrics(measured, self.model.loss)
        if not np.isfinite(record["mae/val"]):
            raise DivergedError(epoch + 1, self.params["steps"])
        epoch_seconds = time.perf_counter() - self._started
        record |= {
            "epoch": epoch + 1,
            "loss/running": float((logs or {})["loss"]),
            "learning_rate": _learning_rate(self.model),
            "time/train_seconds": train_seconds,
            "time/images_per_second": self._num_images / train_seconds,
            "time/measure_seconds": epoch_seconds - train_seconds,
            "time/epoch_seconds": epoch_seconds,
        }
        self.history = self.history.plus(record)
        if self.history.best_epoch == len(self.history):
            self.best = measured
        ends = len(self.history) == self._fit.epochs
        self._saved.save(self._program, self.history, ends)
        self._run.log_epochs(self.history.epochs)
        stderr.print(_epoch_line(self.history, self._fit.last_epoch))
        if self.is_over():
            self.model.stop_training = True

    def is_over(self) -> bool:
        """Whether the trial ends here: all epochs spent, in vain for too long, or pruned.

        The run is told why it is pruned. To be asked before training too: a trial may have died
        between its last epoch and its end.
        """
        if self.history.is_over(self._fit.last_epoch, self._fit.early_stopping_patience):
            return True
        reason = self._reason_to_prune(self.history)
        if reason:
            self._run.set_pruned(reason)
        return bool(reason)


def _learning_rate(model: keras.Model) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def _epoch_line(history: History, epochs: int) -> str:
    record = history.epochs[-1]
    left = (epochs - len(history)) * history.typical("time/epoch_seconds")
    return (
        f"epoch {len(history):>{len(str(epochs))}}/{epochs}"
        f"  train MAE {record['mae/train']:6.2f}  val MAE {record['mae/val']:6.2f}"
        f"  gap {record['mae/gap']:+6.2f}  {record['time/epoch_seconds']:5.0f} s"
        + (f"  ETA {spell_seconds(left)}" if left else "")
    )
