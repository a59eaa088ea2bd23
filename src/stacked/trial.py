"""One of the trials whose heads are stacked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from src.stacked.heads import State
from src.tracking import Runs
from src.training import TrialResult
from src.training.active import ActiveTrial
from src.training.history import EpochRecord


@dataclass
class StackedTrial(ActiveTrial):
    """One of the trials whose heads are stacked. It has no pruner.

    Attributes:
        latest: State of its head after the latest epoch; empty after its end.
        best: State of its head after the best epoch; empty after its end.
        predictions: Predictions of the best epoch for the measured faces, by `train` and `val`;
            empty if that was before an interruption, and after its end.
        result: Its result, or the exception of a trial that failed alone; None before its end.
    """

    latest: State = field(default_factory=dict)
    best: State = field(default_factory=dict)
    predictions: dict[str, np.ndarray] = field(default_factory=dict)
    result: TrialResult | Exception | None = None

    def add_epoch(
        self, record: EpochRecord, num_steps: int, state: State, predictions: dict[str, np.ndarray]
    ) -> None:
        """Adds a finished epoch.

        Args:
            record: See `ActiveTrial.add`.
            num_steps: See `ActiveTrial.add`.
            state: State of the head after the epoch.
            predictions: Its predictions for the measured faces, by `train` and `val`.
        """
        if self.add(record, num_steps):
            self.latest = state
            if self.history.best_epoch == len(self.history):
                self.best, self.predictions = state, predictions

    def end(self, result: TrialResult | Exception) -> None:
        """Stores the result, and frees the states."""
        self.result = result
        self.latest, self.best, self.predictions = {}, {}, {}


@contextmanager
def failing_alone(trial: StackedTrial, runs: Runs) -> Iterator[None]:
    """Ends the trial with the exception that the body raises; the other trials continue."""
    try:
        yield
    except Exception as error:
        trial.end(error)
        runs.fail([trial.run])
