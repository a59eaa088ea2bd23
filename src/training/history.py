"""Finished epochs of a trial."""

from dataclasses import dataclass, field, replace

import numpy as np

from src.config import Objective
from src.core import names

EpochRecord = dict[str, float]
"""Metric names to values after one epoch, such as `mae/val`, and `epoch`, from 1."""


@dataclass(frozen=True)
class History:
    """Epochs of a trial so far.

    Attributes:
        run_id: Its run in MLflow; empty before it has one.
        epochs: One record for each finished epoch.
        objective: The study's; it decides which epoch is kept and when training stops early.
    """

    run_id: str
    epochs: tuple[EpochRecord, ...] = ()
    objective: Objective = field(default_factory=Objective)

    def __len__(self) -> int:
        return len(self.epochs)

    def plus(self, record: EpochRecord) -> "History":
        """Returns the history with one more epoch."""
        return replace(self, epochs=(*self.epochs, record))

    @property
    def curve(self) -> tuple[float, ...]:
        """Validation MAE of each epoch."""
        return tuple(record[names.VAL_MAE] for record in self.epochs)

    @property
    def costs(self) -> tuple[float, ...]:
        """Cost of each epoch by the per-epoch metric of the objective; see `Objective.cost`."""
        metric = self.objective.epoch_metric or names.VAL_MAE
        return tuple(self.objective.cost(record[metric]) for record in self.epochs)

    @property
    def best_epoch(self) -> int:
        """The first epoch with the lowest validation MAE, from 1; 0 before the first epoch."""
        return int(np.argmin(self.curve)) + 1 if self.epochs else 0

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights are kept, from 1; 0 before the first epoch."""
        return len(self) if self.objective.keeps_last_epoch else self.best_epoch

    def stops_early(self, patience: int | None) -> bool:
        """Returns whether none of the last `patience` epochs has a lower cost than before."""
        if patience is None or not self.epochs:
            return False
        return len(self) - (int(np.argmin(self.costs)) + 1) >= patience

    def typical(self, metric: str) -> float:
        """Returns the median over the epochs, without the first (tracing) if there are more."""
        settled = self.epochs[1:] or self.epochs
        return float(np.median([record[metric] for record in settled]))


def epoch_record(
    errors: EpochRecord, epoch: int, running_loss: float, learning_rate: float, num_faces: int,
    train_seconds: float, epoch_seconds: float,
) -> EpochRecord:  # fmt: skip
    """Returns the record of a finished epoch.

    Args:
        errors: See `measurement.epoch_metrics`.
        epoch: From 1.
        running_loss: Mean training loss during the epoch.
        learning_rate: Of the last step.
        num_faces: Number of training faces.
        train_seconds: The trial's share of the time to train.
        epoch_seconds: The trial's share of the time to train and measure.
    """
    return {
        **errors,
        names.EPOCH: epoch,
        names.RUNNING_LOSS: running_loss,
        names.LEARNING_RATE: learning_rate,
        names.TRAIN_SECONDS: train_seconds,
        names.IMAGES_PER_SECOND: num_faces / train_seconds,
        names.MEASURE_SECONDS: epoch_seconds - train_seconds,
        names.EPOCH_SECONDS: epoch_seconds,
    }
