"""A book that forgets: for tasks that are not trials of this project."""

import math
from collections.abc import Callable, Mapping, Sequence

from src.core.errors import UsageError
from src.core.names import State
from src.search.loop import Ending, Job, Outcome
from src.search.oracles import Suggestion


class MemoryBook:
    """Numbers jobs in the order in which they come, from 0 as Hydra does."""

    def __init__(
        self,
        overrides: Callable[[Mapping[str, str]], list[str]],
        check: Callable[[Sequence[str]], None],
    ) -> None:
        """Begin.

        Args:
            overrides: All overrides of a job, from its swept values.
            check: Raises where a job's configuration cannot be composed.
        """
        self._overrides = overrides
        self._check = check
        self._count = 0

    def enter(self, suggestion: Suggestion, replicate: int, promoted: Job | None) -> Job:
        """See `Book`."""
        if replicate or suggestion.epochs is not None:
            raise UsageError(
                "Only this project's trials have seeds and epochs. Received: replicates or "
                "hydra/sweeper=hyperband. Fix: leave them out"
            )
        overrides = self._overrides(suggestion.values)
        self._check(overrides)
        self._count += 1
        return Job(self._count - 1, suggestion, replicate, tuple(overrides))

    def start(self, job: Job) -> Sequence[str]:
        """See `Book`."""
        return job.overrides

    def settle(self, job: Job, ending: Ending) -> Outcome:
        """See `Book`: the task's value is the objective."""
        if ending.failure or ending.is_interrupted:
            return Outcome(State.FAILED, failure=ending.failure)
        return Outcome(State.COMPLETE, ending.value if math.isfinite(ending.value) else math.inf)

    def told(self, jobs: Sequence[Job]) -> None:
        """Nothing."""

    def release(self, keep: Sequence[Job]) -> None:
        """Nothing."""
