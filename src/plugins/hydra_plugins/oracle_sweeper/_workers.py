"""What runs the jobs of a sweep: our own processes, or whatever launcher was chosen."""

import copy
import math
import signal
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean
from types import FrameType
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra_plugins.process_launcher._core import Exit, Processes
from hydra_plugins.process_launcher._worker import INTERRUPTED
from hydra_plugins.process_launcher.launcher import ProcessLauncher
from omegaconf import DictConfig

from src.config import Config, to_config
from src.core.errors import UsageError
from src.core.imports import large_imports
from src.core.signals import TERMINATION, handled, raise_interrupt
from src.search.loop import Ending, Job

if TYPE_CHECKING:
    from src.training.timing import Timing

_LAST_LINES = 40  # of what a failed job printed
_LEAST_SIDE_BY_SIDE = 8  # trials that are worth a process of their own
_GLANCE_SECONDS = 0.5  # between looks at whether someone wants to stop


class ProcessWorkers:
    """Jobs in processes that stay for the next job of the same program.

    Jobs of one group are gathered, and share one process in which they train side by side.

    Attributes:
        num_jobs: Most processes at a time.
        side_by_side: Most jobs in one process at a time.
    """

    def __init__(self, launcher: ProcessLauncher) -> None:
        self._launcher = launcher
        self.num_jobs = launcher.n_jobs
        self.side_by_side = launcher.side_by_side
        self._processes = Processes(launcher)
        self._gathered: dict[Hashable, list[Job]] = {}
        self._most: dict[Hashable, int] = {}  # in a process, of a group that has lost one
        self._jobs: dict[int, list[Job]] = {}
        self._is_interrupted = False
        self._is_stopping = False
        self._results: dict[int, JobReturn] = {}

    @property
    def returns(self) -> list[list[JobReturn]]:
        """Hydra's results so far, in the order of the jobs; of those that ran alone."""
        return [[self._results[number] for number in sorted(self._results)]]

    def has_room(self) -> bool:
        """See `Workers`."""
        num_gathered = sum(map(len, self._gathered.values()))
        return (
            not self._is_interrupted
            and self._processes.has_room()
            and num_gathered < self.side_by_side * self.num_jobs
        )

    def start(self, job: Job, overrides: Sequence[str]) -> None:
        """See `Workers`. One that is tried again gets a new process, and the memory of the idle.

        Jobs that can train side by side wait for `wait` to start them together.
        """
        if job.num_tries > 1:
            self._processes.end_idle()
        if job.group is not None:
            self._gathered.setdefault(job.group, []).append(job)
            return
        self._jobs[job.number] = [job]
        program = job.program if self._launcher.warm else None
        self._processes.start(job.number, overrides, program)

    def wait(self) -> list[tuple[Job, Ending]]:
        """See `Workers`.

        Raises:
            KeyboardInterrupt: If someone asked to stop.
        """
        self._start_gathered()
        while not self._is_interrupted:
            exits = self._processes.wait(_GLANCE_SECONDS)
            if exits:
                return [pair for one in exits for pair in self._read(one)]
        raise KeyboardInterrupt

    def stop(self) -> list[tuple[Job, Ending]]:
        """See `Workers`."""
        self._is_stopping = True
        unstarted = [job for jobs in self._gathered.values() for job in jobs]
        self._gathered.clear()
        ended = [pair for one in self._processes.stop() for pair in self._read(one)]
        return [*ended, *((job, Ending(is_interrupted=True)) for job in unstarted)]

    def _start_gathered(self) -> None:
        """Start what was gathered, as far as there is room; spread over the processes."""
        for number_left, (group, jobs) in zip(
            range(len(self._gathered), 0, -1), list(self._gathered.items()), strict=True
        ):
            num_free = self.num_jobs - self._processes.num_running
            num_parts = max(1, min(num_free // number_left, len(jobs) // _LEAST_SIDE_BY_SIDE))
            most = self._most.get(group, self.side_by_side)
            size = min(most, math.ceil(len(jobs) / num_parts))
            # Those of one batch size train step by step.
            jobs.sort(key=lambda job: (job.config.data.batch_size, job.number))
            while jobs and self._processes.has_room():
                part, jobs = jobs[:size], jobs[size:]
                self._start_together(part)
            if jobs:
                self._gathered[group] = jobs
            else:
                del self._gathered[group]

    def _start_together(self, jobs: Sequence[Job]) -> None:
        first = jobs[0]
        self._jobs[first.number] = list(jobs)
        program = first.program if self._launcher.warm else None
        self._processes.start_call(
            [job.number for job in jobs],
            _train_side_by_side,
            [job.config for job in jobs],
            program,
        )

    def time(self, overrides: Sequence[str]) -> "Timing":
        """See `TimingWorkers`: as many side by side as trials will be.

        Raises:
            ValueError: If a trial could not even begin.
        """
        from src.training.timing import Timing

        launcher = copy.copy(self._launcher)
        launcher.task_function = _time
        processes = Processes(launcher)
        for number in range(self.num_jobs):
            processes.start(number, overrides)
        timings: list[dict[str, float]] = []
        try:
            while len(timings) < self.num_jobs:
                for one in processes.wait():
                    result = one.job_return
                    if result is None or result.status is not JobStatus.COMPLETED:
                        failure = _ending(result).failure if result else "the process died"
                        raise UsageError(f"{failure} (see {one.log})")
                    timings.append(result.return_value)
        finally:
            processes.stop()
        timing = Timing(**{key: mean(each[key] for each in timings) for key in timings[0]})
        if self._launcher.warm:
            return timing
        return replace(timing, warm_start_seconds=timing.start_seconds)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """In the body, the first SIGINT, SIGTERM or SIGHUP is noted until `wait`; the next raises.

        A study's book-keeping is never torn apart by the first.
        """

        def note(number: int, frame: FrameType | None) -> None:
            if self._is_interrupted:
                raise KeyboardInterrupt
            self._is_interrupted = True

        with handled((signal.SIGINT, *TERMINATION), note):
            yield
            if self._is_interrupted:
                raise KeyboardInterrupt

    def _read(self, one: Exit) -> list[tuple[Job, Ending]]:
        jobs = self._jobs.pop(one.number)
        result = one.job_return
        if result is not None and jobs[0].group is not None:
            return list(zip(jobs, _endings(result, len(jobs), _tail(one.log)), strict=True))
        if result is not None:
            self._results[one.number] = result
            return [(jobs[0], _ending(result, _tail(one.log)))]
        if self._is_stopping:
            return [(job, Ending(is_interrupted=True)) for job in jobs]
        if one.exit_code == INTERRUPTED:
            failure = "the process was asked to end, but not by this sweep"
        elif one.exit_code < 0:
            name = signal.Signals(-one.exit_code).name
            hint = "; the machine may have run out of memory" if name == "SIGKILL" else ""
            failure = f"the process was ended by {name}{hint}"
        else:
            failure = f"the process ended with status {one.exit_code}"
        failure = f"{failure} (see {one.log})"
        if len(jobs) > 1:  # perhaps they took too much memory: they may try again in fewer
            self._most[jobs[0].group] = max(1, len(jobs) // 4)
        lost = Ending(failure=failure, details=_tail(one.log), is_lost=len(jobs) == 1)
        return [(job, lost) for job in jobs]


class BatchWorkers:
    """Jobs in batches, as any Hydra launcher takes them.

    Attributes:
        num_jobs: 0: how many at a time is the launcher's affair.
        side_by_side: 1: such a launcher knows of no groups.
        returns: Hydra's results so far, a list for each batch.
    """

    num_jobs = 0
    side_by_side = 1

    def __init__(self, launcher: Launcher, size: float) -> None:
        self._launcher = launcher
        self._size = size
        self._batch: list[tuple[Job, Sequence[str]]] = []
        self._num_launched = 0
        self.returns: list[list[JobReturn]] = []

    def has_room(self) -> bool:
        """See `Workers`."""
        return len(self._batch) < self._size

    def start(self, job: Job, overrides: Sequence[str]) -> None:
        """See `Workers`: the batch is launched by `wait`."""
        self._batch.append((job, overrides))

    def wait(self) -> list[tuple[Job, Ending]]:
        """See `Workers`."""
        batch, self._batch = self._batch, []
        first, self._num_launched = self._num_launched, self._num_launched + len(batch)
        try:
            results = self._launcher.launch([list(overrides) for _, overrides in batch], first)
        except Exception as error:  # a worker that dies takes joblib's whole batch with it
            lost = Ending(failure=f"{type(error).__name__}: {error}", is_lost=True)
            return [(job, lost) for job, _ in batch]
        except BaseException:
            self._batch = batch
            raise
        self.returns.append(list(results))
        return [(job, _ending(one)) for (job, _), one in zip(batch, results, strict=True)]

    def stop(self) -> list[tuple[Job, Ending]]:
        """See `Workers`: the launcher has gone through its batch, or was interrupted with it."""
        batch, self._batch = self._batch, []
        return [(job, Ending(is_interrupted=True)) for job, _ in batch]

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and SIGHUP do what Ctrl-C does, which every launcher knows."""
        with handled(TERMINATION, raise_interrupt):
            yield


def _time(tree: DictConfig) -> dict[str, float]:
    """The task of a process that times a trial."""
    from src.training.timing import time_trial

    return asdict(time_trial(to_config(tree)))


def _train_side_by_side(configs: Sequence[Config]) -> list[tuple[float, str]]:
    """What a process with several jobs does: the objective and the failure of each."""
    with large_imports():
        from src.stacked import train_stacked
    return [
        (math.inf, _spell(result)) if isinstance(result, BaseException) else (result.value, "")
        for result in train_stacked(configs)
    ]


def _endings(result: JobReturn, count: int, details: str) -> list[Ending]:
    """Of jobs that ran side by side."""
    if result.status is JobStatus.FAILED:
        return [_ending(result, details)] * count
    return [
        Ending(value, failure, details if failure else "") for value, failure in result.return_value
    ]


def _ending(result: JobReturn, details: str = "") -> Ending:
    value: Any = result._return_value
    if result.status is JobStatus.FAILED:
        return Ending(failure=_spell(value), details=details)
    return Ending(float(value) if isinstance(value, int | float) else math.inf)


def _spell(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    if type(error).__name__.startswith("CompactHydra"):
        return text
    return f"{type(error).__name__}: {text}"


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_LAST_LINES:])
