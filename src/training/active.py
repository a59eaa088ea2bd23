"""A trial between its start and its end."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from src.config import Config
from src.config.study_schema import Figures
from src.core import names
from src.core.console import spell_seconds
from src.data import Dataset
from src.tracking import Run
from src.training.checkpoint import Checkpoint
from src.training.history import EpochRecord, History


@dataclass
class ActiveTrial:
    """A trial between its start and its end.

    Attributes:
        config: Its configuration.
        dataset: Its faces.
        checkpoint: Its state on disk.
        run: Its run.
        history: Its finished epochs.
        num_inherited: Number of epochs that were finished before this process started.
        draws: Which trials of the study store figures.
        infeasible: Reason why the configuration is infeasible, or empty.
    """

    config: Config
    dataset: Dataset
    checkpoint: Checkpoint
    run: Run
    history: History
    num_inherited: int = field(init=False)
    draws: Figures = field(init=False)
    infeasible: str = ""

    def __post_init__(self) -> None:
        self.num_inherited = len(self.history)
        self.draws = self.config.tracking.figures
        self.history = replace(self.history, run_id=self.run.id)

    @property
    def is_over(self) -> bool:
        """True once all epochs are trained, training stops early, or the trial is infeasible."""
        fit = self.config.fit
        return (
            bool(self.infeasible)
            or len(self.history) >= fit.last_epoch
            or self.history.stops_early(fit.early_stopping_patience)
        )

    def add(self, record: EpochRecord, num_steps: int) -> bool:
        """Adds a finished epoch, and returns whether its validation error is a number.

        Args:
            record: See `history.epoch_record`.
            num_steps: Steps of an epoch.
        """
        if not np.isfinite(record[names.VAL_MAE]):
            self.set_diverged(int(record[names.EPOCH]), num_steps)
            return False
        self.history = self.history.plus(record)
        return True

    def set_diverged(self, epoch: int, step: int) -> None:
        """Ends the trial as infeasible: the loss of this step, from 1, was no number."""
        self.infeasible = (
            f"the loss became infinite or not a number in epoch {epoch}, step {step}, "
            f"with optimizer.learning_rate={self.config.optimizer.learning_rate:g}"
        )


def epoch_line(
    records: Sequence[EpochRecord], last_epoch: int, seconds: float, seconds_left: float
) -> str:
    """Returns the line on screen after an epoch.

    Args:
        records: Records of the epoch, one for each trial that trained.
        last_epoch: Last epoch of the trials.
        seconds: Duration of the epoch.
        seconds_left: Duration of the remaining epochs.
    """
    epoch = f"epoch {records[0][names.EPOCH]:>{len(str(last_epoch))}}/{last_epoch}"
    errors = [record[names.VAL_MAE] for record in records]
    if len(records) == 1:
        train_mae, gap = records[0][names.TRAIN_MAE], records[0][names.GAP]
        words = f"train MAE {train_mae:6.2f}  val MAE {errors[0]:6.2f}  gap {gap:+6.2f}"
    else:
        words = f"{len(records)} trials  val MAE {min(errors):6.2f} to {max(errors):6.2f}"
    left = f"  ETA {spell_seconds(seconds_left)}" if seconds_left else ""
    return f"{epoch}  {words}  {seconds:5.1f} s{left}"
