"""The states of trials side by side, kept on disk."""

import time
from collections.abc import Sequence

import numpy as np

from src.core.errors import EnvironmentFaultError
from src.training.program import Program
from src.training.side_by_side.states import arrays_of
from src.training.side_by_side.trial import SideTrial

_SAVE_SECONDS = 5.0  # between states on disk; an epoch takes milliseconds and is trained again
_SAVE_SHARE = 20  # and at least so many times what saving takes


class Keeper:
    """Writes the trials' states to their checkpoints now and then."""

    def __init__(self, trials: Sequence[SideTrial], program: Program) -> None:
        self._trials = trials
        self._program = program
        self._saved_at = time.monotonic()
        self._took = 0.0
        self._kept_best = {trial.run.id: trial.history.best_epoch for trial in trials}

    def save_if_due(self) -> None:
        """Save, unless that was done a moment ago."""
        if time.monotonic() - self._saved_at > max(_SAVE_SECONDS, _SAVE_SHARE * self._took):
            self.save()

    def save(self) -> None:
        """Write what is not on disk yet.

        Raises:
            RuntimeError: If something could not be written, after all the rest was.
        """
        started = time.monotonic()
        fault = None
        for trial in self._trials:
            if trial.result is not None or len(trial.history) == trial.num_inherited:
                continue
            latest = arrays_of(self._program, trial.latest, trial.config)
            best: Sequence[np.ndarray] = ()
            if trial.history.best_epoch not in (len(trial.history), self._kept_best[trial.run.id]):
                best, _ = arrays_of(self._program, trial.best, trial.config)
            try:
                trial.saved.write(*latest, trial.history, best)
                self._kept_best[trial.run.id] = trial.history.best_epoch
            except EnvironmentFaultError as error:
                fault = error
        self._saved_at = time.monotonic()
        self._took = self._saved_at - started
        if fault is not None:
            raise fault
