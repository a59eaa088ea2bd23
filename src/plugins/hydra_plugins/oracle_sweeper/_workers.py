"""What runs the jobs of a sweep: our own processes, or whatever launcher was chosen."""

import copy
import math
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from types import FrameType
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra_plugins.process_launcher._core import INTERRUPTED, Exit, Processes
from hydra_plugins.process_launcher.launcher import ProcessLauncher
from omegaconf import DictConfig

from src.config import to_config
from src.errors import UsageError
from src.search.loop import Ending, Job
from src.signals import TERMINATION, handled, raise_interrupt

if TYPE_CHECKING:
    from src.training.timing import Timing

_LAST_LINES = 40  # of what a failed job printed
_GLANCE_SECONDS = 0.5  # between looks at whether someone wants to stop


class ProcessWorkers:
    """Jobs in processes that come and go one by one.

    Attributes:
        num_jobs: Most at a time.
    """

    def __init__(self, launcher: ProcessLauncher) -> None:
        self._launcher = launcher
        self.num_jobs = launcher.n_jobs
        self._processes = Processes(launcher)
        self._jobs: dict[int, Job] = {}
        self._is_interrupted = False
        self._is_stopping = False
        self._results: dict[int, JobReturn] = {}

    @property
    def returns(self) -> list[list[JobReturn]]:
        """Hydra's results so far, in the order of the jobs."""
        return [[self._results[number] for number in sorted(self._results)]]

    def has_room(self) -> bool:
        """See `Workers`."""
        return self._processes.has_room() and not self._is_interrupted

    def start(self, job: Job, overrides: Sequence[str]) -> None:
        """See `Workers`."""
        self._jobs[job.number] = job
        self._processes.start(job.number, overrides)

    def wait(self) -> list[tuple[Job, Ending]]:
        """See `Workers`.

        Raises:
            KeyboardInterrupt: If someone asked to stop.
        """
        while not self._is_interrupted:
            exits = self._processes.wait(_GLANCE_SECONDS)
            if exits:
                return [self._read(one) for one in exits]
        raise KeyboardInterrupt

    def stop(self) -> list[tuple[Job, Ending]]:
        """See `Workers`."""
        self._is_stopping = True
        return [self._read(one) for one in self._processes.stop()]

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
        return Timing(**{key: mean(each[key] for each in timings) for key in timings[0]})

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

    def _read(self, one: Exit) -> tuple[Job, Ending]:
        job = self._jobs.pop(one.number)
        if one.job_return is not None:
            self._results[one.number] = one.job_return
            return job, _ending(one.job_return, _tail(one.log))
        if self._is_stopping:
            return job, Ending(is_interrupted=True)
        if one.exit_code == INTERRUPTED:
            failure = "the process was asked to end, but not by this sweep"
        elif one.exit_code < 0:
            name = signal.Signals(-one.exit_code).name
            hint = "; the machine may have run out of memory" if name == "SIGKILL" else ""
            failure = f"the process was ended by {name}{hint}"
        else:
            failure = f"the process ended with status {one.exit_code}"
        failure = f"{failure} (see {one.log})"
        return job, Ending(failure=failure, details=_tail(one.log), is_lost=True)


class BatchWorkers:
    """Jobs in batches, as any Hydra launcher takes them.

    Attributes:
        num_jobs: 0: how many at a time is the launcher's affair.
        returns: Hydra's results so far, a list for each batch.
    """

    num_jobs = 0

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


def _ending(result: JobReturn, details: str = "") -> Ending:
    value: Any = result._return_value
    if result.status is JobStatus.FAILED:
        text = str(value).strip() or type(value).__name__
        if not type(value).__name__.startswith("CompactHydra"):
            text = f"{type(value).__name__}: {text}"
        return Ending(failure=text, details=details)
    return Ending(float(value) if isinstance(value, int | float) else math.inf)


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_LAST_LINES:])
