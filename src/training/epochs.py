"""What happens at every step and after every epoch of a trial."""

import time
from collections.abc import Callable

import keras
import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from src.console import stderr
from src.data import TrainingBatches


class DivergedError(RuntimeError):
    """The loss is no longer a number: the configuration is infeasible.

    Attributes:
        epoch: From 1.
        step: Within the epoch, from 1.
        learning_rate: At that step.
    """

    def __init__(self, epoch: int, step: int, learning_rate: float) -> None:
        super().__init__(
            f"the loss became infinite or not a number in epoch {epoch}, step {step}, "
            f"at learning rate {learning_rate:g}"
        )
        self.epoch = epoch
        self.step = step
        self.learning_rate = learning_rate


class EpochBatches(keras.utils.PyDataset):
    """`TrainingBatches` as Keras reads them: prefetched in a thread beside the step."""

    def __init__(self, batches: TrainingBatches, first_epoch: int) -> None:
        super().__init__()
        self._batches = batches
        self._epoch = first_epoch

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        return self._batches.batch(self._epoch, number)

    def on_epoch_end(self) -> None:
        """Keras has read the last batch of the epoch."""
        self._epoch += 1


class EpochEnd(keras.callbacks.Callback):
    """Watches the loss at every step, and hands every finished epoch on with its times.

    Attributes:
        bar: Progress bar to enter around `fit`, so that it goes away however `fit` ends.
    """

    def __init__(
        self,
        epochs: int,
        num_images: int,
        finish_epoch: Callable[[int, dict[str, float]], bool],
    ) -> None:
        """Set up.

        Args:
            epochs: Epochs of the whole trial.
            num_images: Training faces.
            finish_epoch: Called with the epoch (from 1) and its times; true stops the trial.
        """
        super().__init__()
        self._epochs = epochs
        self._num_images = num_images
        self._finish_epoch = finish_epoch
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(), console=stderr, transient=True,
            disable=not stderr.is_terminal,
        )  # fmt: skip

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start a bar for the epoch."""
        self._epoch = epoch + 1
        self._started = time.perf_counter()
        self._task = self.bar.add_task(
            f"epoch {self._epoch}/{self._epochs}", total=self.params["steps"], loss=""
        )

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stop the trial at the very step where the loss stops being a number."""
        loss = (logs or {})["loss"]
        if not np.isfinite(loss):
            rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
            raise DivergedError(self._epoch, batch + 1, float(rate))
        self.bar.update(self._task, advance=1, loss=f"loss {loss:.4g}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Measure, save and report, and stop when told so."""
        self.bar.remove_task(self._task)
        train_seconds = time.perf_counter() - self._started
        times = {
            "time/train_seconds": train_seconds,
            "time/images_per_second": self._num_images / train_seconds,
            "loss/running": float((logs or {})["loss"]),
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
        }
        if self._finish_epoch(self._epoch, times):
            self.model.stop_training = True
