"""The loop of a sweep: ask the search, run the trials, tell the results, until none is left."""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from src.config import Config
from src.core.names import State
from src.search.search import Search, Suggestion
from src.search.settings import SweepSettings

if TYPE_CHECKING:
    from src.search.study import StudyBookkeeping
    from src.training.timing import Timing


@dataclass(frozen=True)
class Outcome:
    """State and result of a trial, as the store has them.

    Attributes:
        state: COMPLETE, PRUNED, FAILED, or WAITING where it was interrupted.
        value: The objective; not a number where there is none.
        cost: The objective as a number to minimise; infinite where there is none.
        infeasible: Why the configuration cannot be evaluated, or empty.
        failure: What went wrong, in a line, or empty.
    """

    state: State
    value: float = math.nan
    cost: float = math.inf
    infeasible: str = ""
    failure: str = ""

    @property
    def has_failed(self) -> bool:
        """True if something went wrong that another attempt may correct."""
        return self.state is State.FAILED and not self.infeasible


@dataclass(frozen=True)
class Ending:
    """End of a job in its process.

    Attributes:
        value: What the job returned, if it did.
        failure: What went wrong, in a line, or empty.
        details: The last lines that it printed, with a traceback if there was one.
        is_interrupted: It was asked to stop.
        is_lost: Its process died without a message, as when memory is exhausted.
    """

    value: Any = None
    failure: str = ""
    details: str = ""
    is_interrupted: bool = False
    is_lost: bool = False


Event = tuple[int, Mapping[str, str] | None]
"""A call of a former launch: a suggestion's index, with its values, or None for its result."""


@dataclass
class Job:
    """A trial in the loop.

    Attributes:
        number: Of the trial in its study.
        suggestion: The suggestion that it evaluates.
        replicate: 0 for the configuration's first seed.
        overrides: What its configuration is composed from, without seed, fidelity and run.
        config: Its configuration; None for another application's job, or where it is refused.
        key: Identifies the trial among those that the bookkeeping knows.
        epochs: That it will train; 0 if unknown.
        title: What distinguishes it from the others, for people.
        program: Jobs of one program may follow one another in one process; None: its own process.
        group: Jobs of one group may train as stacked heads in one process; None: it trains alone.
        outcome: None until it has ended for good.
        num_tries: Number of its starts in this launch.
    """

    number: int
    suggestion: Suggestion
    replicate: int
    overrides: tuple[str, ...]
    config: Config | None = None
    key: tuple[str, str] = ("", "")
    epochs: int = 0
    title: str = ""
    program: Hashable = None
    group: Hashable = None
    outcome: Outcome | None = None
    num_tries: int = 0


class Workers(Protocol):
    """Runs jobs.

    Attributes:
        num_jobs: Most processes at a time; 0 if unknown.
        max_stacked: Most jobs of one group in one process.
    """

    num_jobs: int
    max_stacked: int

    def has_room(self) -> bool:
        """Returns whether one more job may start now."""

    def start(self, job: Job) -> None:
        """Starts a job."""

    def wait(self) -> list[tuple[Job, Ending]]:
        """Waits until jobs have ended and returns them; at least one."""

    def stop(self) -> list[tuple[Job, Ending]]:
        """Lets every job save and stop, waits for it, and leaves no process."""

    def time(self, config: Config) -> "Timing":
        """Times a few steps of a trial, in processes like those of trials."""

    def signals(self) -> AbstractContextManager[None]:
        """Returns a context in which an interrupt reaches the loop only where it can end safely."""


@dataclass
class Loop:
    """One launch of a study.

    Attributes:
        search: Suggests.
        bookkeeping: Records.
        workers: Run.
        settings: Of replicates and failures.
        on_start: Called with each job that starts, also for another attempt.
        on_retry: Called with each job that will be tried again, and with its outcome.
        on_end: Called with each job that has ended for good.
        jobs: All jobs so far, in the order of their suggestions.
        waiting: Jobs that are known to be missing, in the order in which they will start.
        stopped: Why the sweep ended early, or empty.
    """

    search: Search
    bookkeeping: "StudyBookkeeping"
    workers: Workers
    settings: SweepSettings
    on_start: Callable[[Job], None] = lambda job: None
    on_retry: Callable[[Job, Outcome], None] = lambda job, outcome: None
    on_end: Callable[[Job], None] = lambda job: None
    jobs: list[Job] = field(default_factory=list)
    waiting: list[Job] = field(default_factory=list)
    stopped: str = ""
    _lost: list[Job] = field(default_factory=list)
    _running: list[Job] = field(default_factory=list)
    _alone: Job | None = None
    _failures_in_a_row: int = 0
    _untold: set[int] = field(default_factory=set)
    _by_suggestion: dict[int, list[Job]] = field(default_factory=lambda: defaultdict(list))

    def restore(self, events: Sequence[Event]) -> int | None:
        """Repeats the calls of former launches.

        Returns:
            None, or the index at which the search now suggests something else or a trial is gone.
        """
        told = {index for index, values in events if values is None}
        for index, values in events:
            if values is not None:
                self.search.remember(index, values)
                suggestion = self.search.ask()
                if suggestion is None or suggestion.index != index:
                    return index
                for replicate in range(self.settings.replicates):
                    # A failure that the search knows stays one: later suggestions depend on it.
                    self._enter(suggestion, replicate, retries_failed=index not in told)
            elif all(job.outcome for job in self._by_suggestion[index]):
                self._tell(index)
            else:
                return index
        return None

    def prepare(self) -> None:
        """Enters all suggestions of a search that is not adaptive, the first seeds first.

        Jobs of one program start in a row within each seed.
        """
        if self.search.is_adaptive:
            return
        suggestions = list(iter(self.search.ask, None))
        for replicate in range(self.settings.replicates):
            for suggestion in suggestions:
                self._enter(suggestion, replicate)
        programs = list(dict.fromkeys(job.program for job in self.waiting))
        self.waiting.sort(key=lambda job: (job.replicate, programs.index(job.program)))

    def run(self) -> None:
        """Runs to the end. On a KeyboardInterrupt, running jobs save and stop; it is raised on."""
        try:
            self._tell_complete()
            while not self.stopped:
                self._fill()
                if not self._running:
                    break
                for job, ending in self.workers.wait():
                    self._end(job, ending)
        except BaseException:
            self.stopped = "interrupted"
            raise
        finally:
            for job, ending in self.workers.stop():
                self._end(job, ending)

    def _fill(self) -> None:
        while self.workers.has_room():
            job = self._next()
            if job is None:
                return
            job.num_tries += 1
            self._running.append(job)
            self.bookkeeping.start(job)
            self.workers.start(job)
            self.on_start(job)

    def _next(self) -> Job | None:
        if self._alone in self._running:
            return None
        if self._lost and not self._running:
            # Alone: another trial may have exhausted the memory.
            self._alone = self._lost.pop(0)
            return self._alone
        while not self.waiting and not self._lost and self.search.is_adaptive:
            suggestion = self.search.ask()
            if suggestion is None:
                return None
            for replicate in range(self.settings.replicates):
                self._enter(suggestion, replicate)
            self._tell_complete()
        return self.waiting.pop(0) if self.waiting else None

    def _enter(self, suggestion: Suggestion, replicate: int, retries_failed: bool = True) -> None:
        promoted = None
        if suggestion.promoted_from is not None:
            promoted = self._by_suggestion[suggestion.promoted_from][replicate]
        job = self.bookkeeping.enter(suggestion, replicate, promoted)
        self.jobs.append(job)
        self._by_suggestion[suggestion.index].append(job)
        self._untold.add(suggestion.index)
        if job.outcome is not None and job.outcome.has_failed and retries_failed:
            job.outcome = None
        if job.outcome is None:
            self.waiting.append(job)

    def _end(self, job: Job, ending: Ending) -> None:
        self._running.remove(job)
        outcome = self.bookkeeping.settle(job, ending)
        if outcome.state is State.WAITING:  # interrupted: the next launch continues it
            return
        num_retries = int(self.settings.on_failure.partition("retry:")[2] or 0)
        if outcome.has_failed and job.num_tries <= num_retries and not self.stopped:
            (self._lost if ending.is_lost else self.waiting).insert(0, job)
            self.on_retry(job, outcome)
            return
        job.outcome = outcome
        self._failures_in_a_row = self._failures_in_a_row + 1 if outcome.has_failed else 0
        if outcome.has_failed and self.settings.on_failure == "stop":
            self.stopped = self.stopped or f"trial {job.number} failed"
        elif self._failures_in_a_row >= self.settings.max_failures_in_a_row:
            self.stopped = self.stopped or f"{self._failures_in_a_row} trials failed in a row"
        self.on_end(job)
        self._tell_complete()

    def _tell_complete(self) -> None:
        """Tells an adaptive search every suggestion whose replicates have all ended."""
        if not self.search.is_adaptive:
            return
        for index in sorted(self._untold):
            jobs = self._by_suggestion[index]
            if len(jobs) == self.settings.replicates and all(job.outcome for job in jobs):
                self._tell(index)
                self.bookkeeping.told(jobs)
        alive = self._untold | self.search.waiting_for_promotion()
        keep = [job for job in self.jobs if job.suggestion.index in alive]
        self.bookkeeping.release(self.jobs, keep)

    def _tell(self, index: int) -> None:
        self._untold.discard(index)
        outcomes = [job.outcome for job in self._by_suggestion[index]]
        costs = [each.cost for each in outcomes if each and math.isfinite(each.cost)]
        self.search.tell(index, sum(costs) / len(costs) if costs else None)
