"""The loop of a sweep: ask, run, tell, until nothing is left."""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from src.core.names import State

if TYPE_CHECKING:
    from src.search.oracles import Search, Suggestion


class ChangedSearchError(Exception):
    """An oracle suggests something else than before, or a trial is gone; holds the suggestion."""


@dataclass(frozen=True)
class Outcome:
    """What a trial came to.

    Attributes:
        state: COMPLETE, PRUNED, FAILED, or WAITING where it was interrupted.
        val_mae: The objective, years; infinite where there is none.
        infeasible: Why the configuration cannot be evaluated, or empty.
        failure: What went wrong, in a line, or empty.
    """

    state: State
    val_mae: float = math.inf
    infeasible: str = ""
    failure: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether something went wrong that another try may mend."""
        return self.state is State.FAILED and not self.infeasible


@dataclass(frozen=True)
class Ending:
    """How a job's process ended.

    Attributes:
        value: What the task returned; infinite where that is no number.
        failure: What went wrong, in a line, or empty.
        details: A traceback, or the last lines that it printed.
        is_interrupted: Whether it was asked to stop.
        is_lost: Whether it died without a word, as when memory runs out.
    """

    value: float = math.inf
    failure: str = ""
    details: str = ""
    is_interrupted: bool = False
    is_lost: bool = False


@dataclass
class Job:
    """A trial in the hands of the loop.

    Attributes:
        number: Of the trial in its study.
        suggestion: What the oracle wanted to know.
        replicate: 0 for the configuration's first seed.
        overrides: What Hydra composes its configuration from.
        epochs: That it will train; 0 where nothing is known of epochs.
        outcome: None until it has ended for good.
        num_tries: How often it was started in this launch.
        title: What sets it apart from the others, for people.
        program: Jobs of one program may follow one another in one process; None: it wants its own.
        group: Jobs of one group may train side by side in one process; None: it trains alone.
        config: Its whole configuration, for those that need no overrides.
    """

    number: int
    suggestion: "Suggestion"
    replicate: int
    overrides: tuple[str, ...]
    epochs: int = 0
    outcome: Outcome | None = None
    num_tries: int = 0
    title: str = ""
    program: Hashable = None
    group: Hashable = None
    config: Any = None


class Book(Protocol):
    """Where jobs are written down. One is the tracking store; one forgets."""

    def enter(self, suggestion: "Suggestion", replicate: int, promoted: Job | None) -> Job:
        """The job for a suggestion; with an outcome, if it was run before."""

    def start(self, job: Job) -> Sequence[str]:
        """Note that a job starts; the overrides that its process gets."""

    def settle(self, job: Job, ending: Ending) -> Outcome:
        """What a job has come to."""

    def told(self, jobs: Sequence[Job]) -> None:
        """Note that the oracle has been told of these replicates."""

    def release(self, keep: Sequence[Job]) -> None:
        """Delete what was kept for promotions that will not come: all but these jobs'."""


class Workers(Protocol):
    """What runs jobs.

    Attributes:
        side_by_side: Most jobs of one group in one process.
    """

    side_by_side: int

    def has_room(self) -> bool:
        """Whether one more job may start now."""

    def start(self, job: Job, overrides: Sequence[str]) -> None:
        """Begin a job."""

    def wait(self) -> list[tuple[Job, Ending]]:
        """Jobs that have ended; at least one."""

    def stop(self) -> list[tuple[Job, Ending]]:
        """Let every job save and stop, wait for it, and leave no process behind."""


@dataclass(frozen=True)
class Rules:
    """What happens around the trials.

    Attributes:
        num_replicates: Seeds for each configuration.
        num_retries: Further tries for a failed trial.
        stops_on_failure: Whether one failed trial ends the sweep.
        max_failures_in_a_row: Failed trials in a row that end it.
    """

    num_replicates: int = 1
    num_retries: int = 1
    stops_on_failure: bool = False
    max_failures_in_a_row: int = 3


@dataclass
class Loop:
    """One launch of a study.

    Attributes:
        search: Proposes.
        book: Remembers.
        workers: Run.
        rules: See `Rules`.
        on_end: Called with each job that has ended for good.
        on_start: Called with each job that starts, again for another try.
        on_retry: Called with each job that will be tried again, and with what it came to.
        jobs: All jobs so far, by number within the launch.
        stopped: Why the sweep ended early, or empty.
    """

    search: "Search"
    book: Book
    workers: Workers
    rules: Rules
    on_end: Callable[[Job], None]
    on_start: Callable[[Job], None] = lambda job: None
    on_retry: Callable[[Job, Outcome], None] = lambda job, outcome: None
    jobs: list[Job] = field(default_factory=list)
    stopped: str = ""
    _waiting: list[Job] = field(default_factory=list)
    _lost: list[Job] = field(default_factory=list)
    _running: list[Job] = field(default_factory=list)
    _alone: Job | None = None
    _failures_in_a_row: int = 0
    _untold: set[int] = field(default_factory=set)
    _by_suggestion: dict[int, list[Job]] = field(default_factory=lambda: defaultdict(list))

    @property
    def waiting(self) -> list[Job]:
        """Jobs that are known to be missing, in the order in which they will start."""
        return list(self._waiting)

    def restore(self, events: Sequence[tuple[str, int]]) -> None:
        """Ask and tell again, in the order of former launches: ("asked" | "told", index).

        Raises:
            ChangedSearchError: If the oracle suggests something else now, or a trial is gone.
        """
        told = {index for what, index in events if what == "told"}
        for what, index in events:
            if what == "told":
                self._tell(index)
                continue
            suggestion = self.search.ask()
            if suggestion is None or suggestion.index != index:
                raise ChangedSearchError(index)
            # What the oracle has taken for a failure stays one: it went on from there.
            self._enter(suggestion, retries_failed=index not in told)

    def prepare(self) -> None:
        """Enter everything that can be known before the first trial."""
        if not self.search.is_adaptive:
            suggestions = list(iter(self.search.ask, None))
            for replicate in range(self.rules.num_replicates):
                first = len(self._waiting)
                for suggestion in suggestions:
                    self._enter_job(suggestion, replicate)
                self._waiting[first:] = _by_program(self._waiting[first:])
        self._tell_complete()

    def run(self) -> None:
        """Run to the end. A KeyboardInterrupt lets running jobs save and stop, and goes on up."""
        try:
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
            self.workers.start(job, self.book.start(job))
            self.on_start(job)

    def _next(self) -> Job | None:
        if self._alone in self._running:
            return None
        if self._lost and (not self._waiting or not self._running):
            # Alone: what took its memory may have been a sibling.
            if self._running:
                return None
            self._alone = self._lost.pop(0)
            return self._alone
        while not self._waiting and self.search.is_adaptive:
            suggestion = self.search.ask()
            if suggestion is None:
                return None
            self._enter(suggestion)
            self._tell_complete()
        return self._waiting.pop(0) if self._waiting else None

    def _enter(self, suggestion: "Suggestion", retries_failed: bool = True) -> None:
        for replicate in range(self.rules.num_replicates):
            self._enter_job(suggestion, replicate, retries_failed)

    def _enter_job(
        self, suggestion: "Suggestion", replicate: int, retries_failed: bool = True
    ) -> None:
        promoted = None
        if suggestion.promoted_from is not None:
            promoted = self._by_suggestion[suggestion.promoted_from][replicate]
        job = self.book.enter(suggestion, replicate, promoted)
        self.jobs.append(job)
        self._by_suggestion[suggestion.index].append(job)
        self._untold.add(suggestion.index)
        if job.outcome is not None and job.outcome.has_failed and retries_failed:
            job.outcome = None
        if job.outcome is None:
            self._waiting.append(job)

    def _end(self, job: Job, ending: Ending) -> None:
        self._running.remove(job)
        outcome = self.book.settle(job, ending)
        if outcome.state is State.WAITING:  # interrupted: it goes on with the next launch
            return
        if outcome.has_failed and job.num_tries <= self.rules.num_retries and not self.stopped:
            (self._lost if ending.is_lost else self._waiting).insert(0, job)
            self.on_retry(job, outcome)
            return
        job.outcome = outcome
        self._failures_in_a_row = self._failures_in_a_row + 1 if outcome.has_failed else 0
        if self.stopped:
            pass  # what fails now was being stopped
        elif outcome.has_failed and self.rules.stops_on_failure:
            self.stopped = f"trial {job.number} failed"
        elif self._failures_in_a_row >= self.rules.max_failures_in_a_row:
            self.stopped = f"{self._failures_in_a_row} trials failed in a row"
        self.on_end(job)
        self._tell_complete()

    def _tell_complete(self) -> None:
        """Tell a search that learns of every suggestion whose replicates have all ended."""
        if not self.search.is_adaptive:
            return
        for index in sorted(self._untold):
            jobs = self._by_suggestion[index]
            if len(jobs) == self.rules.num_replicates and all(job.outcome for job in jobs):
                self._tell(index)
                self.book.told(jobs)
        alive = self._untold | self.search.waiting_for_promotion()
        self.book.release([job for job in self.jobs if job.suggestion.index in alive])

    def _tell(self, index: int) -> None:
        self._untold.discard(index)
        if any(job.outcome is None for job in self._by_suggestion[index]):
            raise ChangedSearchError(index)
        errors = [job.outcome.val_mae for job in self._by_suggestion[index] if job.outcome]
        finite = [error for error in errors if math.isfinite(error)]
        self.search.tell(index, sum(finite) / len(finite) if finite else None)


def _by_program(jobs: Sequence[Job]) -> list[Job]:
    """In their order, but those that can share a process in a row."""
    places = {
        program: place for place, program in enumerate(dict.fromkeys(j.program for j in jobs))
    }
    return sorted(jobs, key=lambda job: places[job.program])
