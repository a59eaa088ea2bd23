"""The finished epochs of a trial."""

from dataclasses import dataclass, replace

import numpy as np

EpochRecord = dict[str, float]
"""Metric names to values after one epoch, such as `mae/val`, and `epoch`, from 1."""


@dataclass(frozen=True)
class History:
    """What a trial has done so far.

    Attributes:
        run_id: Its run in MLflow.
        epochs: One record for each finished epoch.
    """

    run_id: str
    epochs: tuple[EpochRecord, ...] = ()

    def __len__(self) -> int:
        return len(self.epochs)

    def plus(self, record: EpochRecord) -> "History":
        """With one epoch more."""
        return replace(self, epochs=(*self.epochs, record))

    @property
    def curve(self) -> tuple[float, ...]:
        """Validation MAE of each epoch, years."""
        return tuple(record["mae/val"] for record in self.epochs)

    @property
    def best_epoch(self) -> int:
        """The first epoch with the lowest validation MAE, from 1; 0 before the first."""
        if not self.epochs:
            return 0
        return int(np.argmin(self.curve)) + 1

    def is_over(self, last_epoch: int, patience: int | None) -> bool:
        """Whether all epochs are spent, or too many in vain."""
        return len(self) >= last_epoch or self.stops_early(patience)

    def stops_early(self, patience: int | None) -> bool:
        """Whether the last `patience` epochs brought no better validation MAE."""
        return patience is not None and len(self) > 0 and len(self) - self.best_epoch >= patience

    def typical(self, key: str) -> float:
        """Median over the epochs; without the first, which traces the model, if there are more."""
        settled = self.epochs[1:] or self.epochs
        return float(np.median([record[key] for record in settled]))
