"""Checkpoints of trials with stacked heads."""

import time
from collections.abc import Sequence

import numpy as np

from src.core.errors import EnvironmentFaultError
from src.stacked.states import arrays_of
from src.stacked.trial import StackedTrial
from src.training.program import Program

_SAVE_SECONDS = 5.0  # between checkpoints; an epoch takes milliseconds and is trained again
_SAVE_SHARE = 20  # least ratio of that time to the time of saving


class Checkpointing:
    """Periodic checkpoints of the trials of a stack."""

    def __init__(self, trials: Sequence[StackedTrial], program: Program) -> None:
        self._trials = trials
        self._program = program
        self._saved_at = time.monotonic()
        self._took = 0.0
        self._saved_best = {trial.run.id: trial.history.best_epoch for trial in trials}

    def save_if_due(self) -> None:
        """Saves, unless that was done a moment ago."""
        if time.monotonic() - self._saved_at > max(_SAVE_SECONDS, _SAVE_SHARE * self._took):
            self.save()

    def save(self) -> None:
        """Writes the states that are not on disk yet.

        Raises:
            EnvironmentFaultError: If one could not be written, after all others were.
        """
        started = time.monotonic()
        fault = None
        for trial in self._trials:
            history = trial.history
            if trial.result or trial.infeasible or len(history) == trial.num_inherited:
                continue
            latest = arrays_of(self._program, trial.latest, trial.config)
            best: Sequence[np.ndarray] = ()
            if history.best_epoch not in (len(history), self._saved_best[trial.run.id]):
                best, _ = arrays_of(self._program, trial.best, trial.config)
            try:
                trial.checkpoint.write(*latest, history, best)
                self._saved_best[trial.run.id] = history.best_epoch
            except EnvironmentFaultError as error:
                fault = error
        self._saved_at = time.monotonic()
        self._took = self._saved_at - started
        if fault is not None:
            raise fault
