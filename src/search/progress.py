"""Progress of a sweep on the terminal."""

import math
import time
from collections.abc import Sequence

from src.core.console import spell_seconds, stderr
from src.core.names import State
from src.search.loop import Job, Outcome

_MOST_ROWS = 40  # of a table on the screen; the CSV has them all
_NUM_LEADERS = 10  # of the table on MLflow's page


class Progress:
    """Says how far a sweep is, how good it has become, and when it will be over."""

    def __init__(self, num_trials: int, num_epochs: int, num_jobs: int) -> None:
        """Begin with nothing known.

        Args:
            num_trials: In all, known ones included; an estimate where trials depend on others.
            num_epochs: The same in epochs; 0 where nothing is known of epochs.
            num_jobs: Trials at a time; 0 if that is not known, and then there is no ETA.
        """
        self._num_trials = num_trials
        self._epochs_left = num_epochs
        self._num_jobs = num_jobs
        self._num_ended = 0
        self._epochs_ended = 0
        self._seconds_ended = 0.0
        self._started: dict[int, float] = {}
        self._best: Job | None = None

    def known(self, jobs: Sequence[Job]) -> None:
        """Count trials that were run before."""
        for job in jobs:
            self._epochs_left -= job.epochs
            self._num_ended += 1
            self._is_better(job)

    def started(self, job: Job) -> None:
        """Note when a trial starts."""
        self._started[job.number] = time.monotonic()

    def retried(self, job: Job, outcome: Outcome) -> None:
        """Say that a trial will be tried once more, and why."""
        reason = (outcome.failure or "it failed").splitlines()[0]
        stderr.print(f"trial {job.number}  {reason}; it will be tried again", markup=False)

    def ended(self, job: Job) -> None:
        """Print a trial's line."""
        self._num_ended += 1
        self._epochs_left -= job.epochs
        self._epochs_ended += job.epochs
        self._seconds_ended += time.monotonic() - self._started.pop(job.number)
        outcome = job.outcome
        if outcome is None:
            return
        words = [f"trial {job.number} ({self._num_ended} of {self._num_trials})", job.title]
        if math.isfinite(outcome.val_mae):
            words.append(f"val MAE {outcome.val_mae:.2f}")
        if outcome.state is not State.COMPLETE:
            words.append(str(outcome.state))
        if outcome.infeasible or outcome.failure:
            words.append((outcome.infeasible or outcome.failure).splitlines()[0])
        if self._is_better(job):
            words.append("best so far")
        elif self._best is not None and self._best.outcome is not None:
            words.append(f"best: trial {self._best.number}, {self._best.outcome.val_mae:.2f}")
        left = self._seconds_left()
        if left > 0:
            words.append(f"ETA {spell_seconds(left)}")
        stderr.print("  ".join(word for word in words if word), markup=False)

    def _seconds_left(self) -> float:
        """By what an epoch has taken so far, less what the running trials have done already."""
        if not self._epochs_ended or not self._num_jobs:
            return 0
        work = self._epochs_left * self._seconds_ended / self._epochs_ended
        now = time.monotonic()
        work -= sum(now - started for started in self._started.values())
        return work / self._num_jobs

    def _is_better(self, job: Job) -> bool:
        outcome = job.outcome
        if outcome is None or outcome.state is not State.COMPLETE:
            return False
        best = self._best.outcome.val_mae if self._best and self._best.outcome else math.inf
        if outcome.val_mae < best:
            self._best = job
            return True
        return False
