"""The loop of a sweep, with arithmetic in place of trials."""

import math
from collections.abc import Callable, Sequence

import pytest

from src.core.names import State
from src.search.loop import Ending, Job, Loop, Outcome
from src.search.search import Search, Suggestion
from src.search.settings import SweepSettings
from src.search.space import Choices, Hyperparameter, Interval, Space, check_space

pytestmark = pytest.mark.slow  # importing keras-tuner imports TensorFlow

SPACE = check_space([Hyperparameter("rate", Choices(("1", "2", "3", "4", "5", "6")))])


class FakeBookkeeping:
    """Bookkeeping that lists what happened, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.known: dict[str, Outcome] = {}
        self.programs: dict[int, str] = {}

    def enter(self, suggestion: Suggestion, replicate: int, promoted: Job | None) -> Job:
        name = f"{suggestion.index}.{replicate}"
        return Job(len(self.events), suggestion, replicate, (name,), outcome=self.known.get(name),
                   program=self.programs.get(suggestion.index))  # fmt: skip

    def start(self, job: Job) -> None:
        self.events.append(f"start {job.overrides[0]}")

    def settle(self, job: Job, ending: Ending) -> Outcome:
        self.events.append(f"end {job.overrides[0]}")
        if ending.is_interrupted:
            return Outcome(State.WAITING)
        if ending.failure:
            return Outcome(State.FAILED, failure=ending.failure)
        return Outcome(State.COMPLETE, ending.value, ending.value)

    def told(self, jobs: Sequence[Job]) -> None:
        self.events.append(f"told {jobs[0].suggestion.index}")

    def release(self, jobs: Sequence[Job], keep: Sequence[Job]) -> None:
        pass


class FakeWorkers:
    """Workers that do `task` when they are waited for, the oldest job first."""

    def __init__(self, size: int, task: Callable[[Job], Ending]) -> None:
        self._size, self._task = size, task
        self._jobs: list[Job] = []
        self.most_at_once = 0
        self.num_stops = 0

    def has_room(self) -> bool:
        return len(self._jobs) < self._size

    def start(self, job: Job) -> None:
        self._jobs.append(job)
        self.most_at_once = max(self.most_at_once, len(self._jobs))

    def wait(self) -> list[tuple[Job, Ending]]:
        ending = self._task(self._jobs[0])
        return [(self._jobs.pop(0), ending)]

    def stop(self) -> list[tuple[Job, Ending]]:
        self.num_stops += 1
        jobs, self._jobs = self._jobs, []
        return [(job, Ending(is_interrupted=True)) for job in jobs]


def made_search(
    name: str = "grid", space: Space = SPACE, max_epochs: int = 9, **settings
) -> Search:
    chosen = SweepSettings(oracle=name, **settings)
    return chosen.search_class(chosen, space, max_epochs)


def run(
    task: Callable[[Job], Ending], size: int = 1, search: Search | None = None, **settings
) -> tuple[Loop, FakeBookkeeping, FakeWorkers]:
    bookkeeping, workers = FakeBookkeeping(), FakeWorkers(size, task)
    loop = Loop(search or made_search(), bookkeeping, workers, SweepSettings(**settings))
    loop.prepare()
    loop.run()
    return loop, bookkeeping, workers


def value(job: Job) -> Ending:
    return Ending(float(job.suggestion.index))


def fail_for(*indices: int, is_lost: bool = False) -> Callable[[Job], Ending]:
    def task(job: Job) -> Ending:
        if job.suggestion.index in indices:
            return Ending(failure="no luck", is_lost=is_lost)
        return value(job)

    return task


def states(loop: Loop) -> list[State]:
    return [job.outcome.state if job.outcome else State.WAITING for job in loop.jobs]


def test_every_trial_runs_once_as_many_at_a_time_as_there_is_room() -> None:
    loop, bookkeeping, workers = run(value, size=4)
    assert states(loop) == [State.COMPLETE] * 6
    assert [event for event in bookkeeping.events if event.startswith("start")] == [
        f"start {index}.0" for index in range(6)
    ]
    assert workers.most_at_once == 4


def test_replicates_of_a_grid_come_after_its_first_seeds() -> None:
    _, bookkeeping, _ = run(value, replicates=2)
    started = [event.split()[1] for event in bookkeeping.events if event.startswith("start")]
    assert started == [f"{i}.0" for i in range(6)] + [f"{i}.1" for i in range(6)]


def test_trials_of_one_program_come_in_a_row_within_each_seed() -> None:
    bookkeeping, workers = FakeBookkeeping(), FakeWorkers(1, value)
    bookkeeping.programs = dict(enumerate("abacab"))
    loop = Loop(made_search(), bookkeeping, workers, SweepSettings(replicates=2))
    loop.prepare()
    numbers = [f"{job.suggestion.index}.{job.replicate}" for job in loop.waiting]
    assert numbers == [f"{index}.{seed}" for seed in (0, 1) for index in (0, 2, 4, 1, 5, 3)]
    assert [job.suggestion.index for job in loop.jobs] == [*range(6), *range(6)]


def test_workers_are_stopped_when_nothing_is_left() -> None:
    _, _, workers = run(value)
    assert workers.num_stops == 1


def test_failed_trial_is_tried_again_and_the_others_run() -> None:
    loop, bookkeeping, _ = run(fail_for(2), on_failure="retry:2")
    assert bookkeeping.events.count("start 2.0") == 3
    assert states(loop) == [State.COMPLETE] * 2 + [State.FAILED] + [State.COMPLETE] * 3
    assert not loop.stopped


def test_failures_in_a_row_end_the_sweep() -> None:
    loop, bookkeeping, _ = run(fail_for(1, 2, 3, 4), on_failure="continue", max_failures_in_a_row=3)
    assert loop.stopped == "3 trials failed in a row"
    assert "start 4.0" not in bookkeeping.events


def test_failures_that_are_not_in_a_row_do_not() -> None:
    loop, _, _ = run(fail_for(0, 2, 4), on_failure="continue", max_failures_in_a_row=2)
    assert not loop.stopped


def test_first_failure_ends_a_sweep_that_stops_on_failure() -> None:
    loop, bookkeeping, _ = run(fail_for(0), size=3, on_failure="stop")
    assert loop.stopped
    assert states(loop) == [State.FAILED] + [State.WAITING] * 5
    assert bookkeeping.events.count("end 1.0") == 1  # it saved and stopped


def test_lost_trials_are_tried_again_alone() -> None:
    alone = []

    def task(job: Job) -> Ending:
        if job.suggestion.index in (1, 5) and job.num_tries == 1:
            return Ending(failure="killed", is_lost=True)
        alone.append((job.suggestion.index, len(workers._jobs)))
        return value(job)

    bookkeeping = FakeBookkeeping()
    workers = FakeWorkers(3, task)
    loop = Loop(made_search(), bookkeeping, workers, SweepSettings())
    loop.prepare()
    loop.run()
    assert states(loop) == [State.COMPLETE] * 6
    assert {(1, 1), (5, 1)} <= set(alone)


def test_interrupt_lets_running_trials_stop_and_is_raised() -> None:
    def task(job: Job) -> Ending:
        if job.suggestion.index == 2:
            raise KeyboardInterrupt
        return value(job)

    bookkeeping, workers = FakeBookkeeping(), FakeWorkers(2, task)
    loop = Loop(made_search(), bookkeeping, workers, SweepSettings())
    loop.prepare()
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert states(loop) == [State.COMPLETE] * 2 + [State.WAITING] * 4
    assert {"end 2.0", "end 3.0"} <= set(bookkeeping.events)


def test_known_trials_do_not_run_but_known_failures_do() -> None:
    bookkeeping, workers = FakeBookkeeping(), FakeWorkers(1, value)
    bookkeeping.known = {
        "0.0": Outcome(State.COMPLETE, 1.0, 1.0),
        "1.0": Outcome(State.FAILED, failure="x"),
        "2.0": Outcome(State.FAILED, infeasible="diverged"),
    }
    loop = Loop(made_search(), bookkeeping, workers, SweepSettings())
    loop.prepare()
    loop.run()
    started = {event.split()[1] for event in bookkeeping.events if event.startswith("start")}
    assert started == {"1.0", "3.0", "4.0", "5.0"}


def test_search_gets_the_mean_of_the_replicates_that_have_a_result() -> None:
    told = []
    line = check_space([Hyperparameter("rate", Interval(0, 1, False, False))])
    search = made_search("bayesian", line, max_trials=2, num_initial_points=1)
    tell = search.tell
    search.tell = lambda index, error: (told.append((index, error)), tell(index, error))

    def task(job: Job) -> Ending:
        return Ending(failure="no") if job.replicate == 2 else Ending(10.0 + job.replicate)

    run(task, search=search, replicates=3, on_failure="continue")
    assert told == [(0, 10.5), (1, 10.5)]


def test_search_ends_although_everything_fails() -> None:
    line = check_space([Hyperparameter("rate", Interval(0, 1, False, False))])
    loop, _, _ = run(
        lambda job: Ending(math.inf, failure="no"),
        search=made_search("hyperband", line), on_failure="continue", max_failures_in_a_row=10**6,
    )  # fmt: skip
    assert loop.search.shortfall > 0
    assert set(states(loop)) == {State.FAILED}
