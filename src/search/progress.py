"""Progress of a sweep on the terminal."""

import math
import time
from collections.abc import Sequence

from src.core import names
from src.core.console import spell_seconds, stderr
from src.core.names import State
from src.records.terms import Terms
from src.search.loop import Job, Outcome

_NO_OUTCOME = Outcome(State.WAITING)


class Progress:
    """Prints a line for each trial, with the best one so far and the time that is left.

    Args:
        num_trials: In all, known ones included; an estimate for an adaptive search.
        num_epochs: The same in epochs; 0 if unknown.
        num_jobs: Trials at a time; 0 if unknown, and then no time is estimated.
        terms: The study's.
    """

    def __init__(self, num_trials: int, num_epochs: int, num_jobs: int, terms: Terms) -> None:
        self._num_trials = num_trials
        self._epochs_left = num_epochs
        self._num_jobs = num_jobs
        is_default = terms.objective.metric == names.BEST_VAL_MAE
        self._label = "val MAE" if is_default else terms.title
        self._num_ended = 0
        self._epochs_ended = 0
        self._seconds_ended = 0.0
        self._started: dict[int, float] = {}
        self._best = (0, _NO_OUTCOME)  # trial and outcome

    def known(self, jobs: Sequence[Job]) -> None:
        """Counts trials that were run before."""
        for job in jobs:
            self._epochs_left -= job.epochs
            self._num_ended += 1
            self._is_better(job)

    def started(self, job: Job) -> None:
        """Records when a trial starts."""
        self._started[job.number] = time.monotonic()

    def retried(self, job: Job, outcome: Outcome) -> None:
        """Prints that a trial will be tried again, and why."""
        reason = (outcome.failure or "it failed").splitlines()[0]
        stderr.print(f"trial {job.number}  {reason}; it will be tried again", markup=False)

    def ended(self, job: Job) -> None:
        """Prints a trial's line."""
        self._num_ended += 1
        self._epochs_left -= job.epochs
        self._epochs_ended += job.epochs
        self._seconds_ended += time.monotonic() - self._started.pop(job.number)
        outcome = job.outcome or _NO_OUTCOME
        words = [f"trial {job.number} ({self._num_ended} of {self._num_trials})", job.title]
        if math.isfinite(outcome.value):
            words.append(f"{self._label} {outcome.value:.2f}")
        if outcome.state is not State.COMPLETE:
            words.append(str(outcome.state))
        if outcome.infeasible or outcome.failure:
            words.append((outcome.infeasible or outcome.failure).splitlines()[0])
        if self._is_better(job):
            words.append("best so far")
        elif self._best[0]:
            words.append(f"best: trial {self._best[0]}, {self._best[1].value:.2f}")
        left = self._seconds_left()
        if left > 0:
            words.append(f"ETA {spell_seconds(left)}")
        stderr.print("  ".join(word for word in words if word), markup=False)

    def _seconds_left(self) -> float:
        """Returns an estimate from the duration of an epoch and the age of running trials."""
        if not self._epochs_ended or not self._num_jobs:
            return 0
        work = self._epochs_left * self._seconds_ended / self._epochs_ended
        now = time.monotonic()
        work -= sum(now - started for started in self._started.values())
        return work / self._num_jobs

    def _is_better(self, job: Job) -> bool:
        outcome = job.outcome or _NO_OUTCOME
        is_better = outcome.state is State.COMPLETE and outcome.cost < self._best[1].cost
        if is_better:
            self._best = job.number, outcome
        return is_better
