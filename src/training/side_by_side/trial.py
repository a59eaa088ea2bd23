"""One of several trials that train side by side."""

from dataclasses import dataclass

import numpy as np

from src.config import Config
from src.model.stacked import State
from src.tracking import Run
from src.training.checkpoint import Checkpoint
from src.training.epochs import DivergedError
from src.training.history import EpochRecord, History
from src.training.result import TrialResult


@dataclass
class SideTrial:
    """One of the trials.

    Attributes:
        config: Its configuration.
        saved: Its checkpoint.
        run: Its run.
        history: Its finished epochs.
        num_inherited: Epochs that were finished when this process began.
        latest: Its state after the latest epoch; empty once it has ended.
        best: Its weights after the best epoch; empty once it has ended.
        predictions: Of the best epoch for the faces that are measured, years, by `train` and `val`;
            empty where that was before an interruption, and once it has ended.
        result: What it came to; the exception where it failed by itself.
    """

    config: Config
    saved: Checkpoint
    run: Run
    history: History
    num_inherited: int
    latest: State
    best: State
    predictions: dict[str, np.ndarray]
    result: TrialResult | Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether it trains no more. One with a pruner trains alone."""
        fit = self.config.fit
        return self.result is not None or self.history.is_over(
            fit.last_epoch, fit.early_stopping_patience
        )

    def add(self, record: EpochRecord, state: State, predictions: dict[str, np.ndarray]) -> None:
        """A finished epoch, what the head is after it, and what it then predicts."""
        self.history = self.history.plus(record)
        self.latest = state
        if self.history.best_epoch == len(self.history):
            self.best, self.predictions = state, predictions

    def give_up(self, epoch: int, step: int) -> None:
        """The loss is no number: the configuration is infeasible."""
        reason = DivergedError(epoch, step).reason(self.config.optimizer.learning_rate)
        self.run.set_infeasible(reason)
        self.result = TrialResult.of_infeasible(self.run, self.history, reason)
