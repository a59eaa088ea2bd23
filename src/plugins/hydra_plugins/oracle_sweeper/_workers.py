"""Workers of a sweep: this project's processes, or any other launcher of Hydra."""

import dataclasses
import itertools
import math
import signal
from collections.abc import Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra_plugins.process_launcher._processes import Processes
from hydra_plugins.process_launcher._worker import spell
from hydra_plugins.process_launcher.launcher import ProcessLauncher
from omegaconf import OmegaConf

from src.config import Config
from src.core.errors import UsageError
from src.core.imports import large_imports
from src.core.signals import TERMINATION, handled
from src.search.loop import Ending, Job

if TYPE_CHECKING:
    from src.training.timing import Timing

_MIN_STACKED = 8  # trials that are worth a process of their own
_POLL_SECONDS = 0.5  # between checks for an interrupt


class ProcessWorkers:
    """Trials in processes that stay for the next trial of the same program.

    A process receives the configurations of its trials. Trials of one group are gathered, and train
    as stacked heads in one process.

    Attributes:
        num_jobs: Most processes at a time.
        max_stacked: Most trials of a group in one process.
    """

    def __init__(self, launcher: ProcessLauncher) -> None:
        self._launcher = launcher
        self.num_jobs = launcher.settings.n_jobs
        self.max_stacked = launcher.settings.max_stacked
        self._processes = Processes(launcher)
        self._gathered: dict[Hashable, list[Job]] = {}
        self._limits: dict[Hashable, int] = {}  # in a process, of a group that has lost one
        self._jobs: dict[int, list[Job]] = {}
        self._is_interrupted = False

    def has_room(self) -> bool:
        """Returns whether one more trial may start, or be gathered, now."""
        if self._is_interrupted or not self._processes.num_free:
            return False
        return sum(map(len, self._gathered.values())) < self.max_stacked * self.num_jobs

    def start(self, job: Job) -> None:
        """Starts a trial, or gathers it until `wait`. Another attempt gets a new process."""
        if job.num_tries > 1:
            self._processes.end_idle()
        if job.group is None:
            self._run([job])
        else:
            self._gathered.setdefault(job.group, []).append(job)

    def wait(self) -> list[tuple[Job, Ending]]:
        """Returns trials that have ended.

        Raises:
            KeyboardInterrupt: If the sweep was asked to stop.
        """
        self._start_gathered()
        while not self._is_interrupted:
            endings = self._processes.wait(_POLL_SECONDS)
            if endings:
                return [pair for number, ending in endings for pair in self._read(number, ending)]
        raise KeyboardInterrupt

    def stop(self) -> list[tuple[Job, Ending]]:
        """Lets every trial save and stop."""
        stopped = self._processes.stop()
        ended = [pair for number, ending in stopped for pair in self._read(number, ending)]
        waiting = itertools.chain.from_iterable(self._gathered.values())
        return [*ended, *((job, Ending(is_interrupted=True)) for job in waiting)]

    def time(self, config: Config) -> "Timing":
        """Returns the timing of a trial, the slowest of as many as a sweep trains at a time.

        Raises:
            UsageError: If the trial fails.
        """
        processes = Processes(self._launcher)
        timings: list[Timing] = []
        try:
            for number in range(self.num_jobs):
                processes.start([number], _time, [config])
            while len(timings) < self.num_jobs:
                for _, ending in processes.wait():
                    if ending.failure:
                        raise UsageError(ending.failure)
                    timings.append(ending.value)
        finally:
            processes.stop()
        timing = max(timings, key=lambda timing: timing.epoch_seconds)
        if self._launcher.settings.warm:
            return timing
        return dataclasses.replace(timing, warm_start_seconds=timing.start_seconds)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """In the body, the first SIGINT, SIGTERM or SIGHUP is delayed until `wait`."""

        def note(number: int, frame: FrameType | None) -> None:
            if self._is_interrupted:
                raise KeyboardInterrupt
            self._is_interrupted = True

        with handled((signal.SIGINT, *TERMINATION), note):
            yield
            if self._is_interrupted:
                raise KeyboardInterrupt

    def _start_gathered(self) -> None:
        """Starts gathered trials, distributed over the free processes."""
        gathered, self._gathered = self._gathered, {}
        for place, (group, jobs) in enumerate(gathered.items()):
            share = self._processes.num_free // (len(gathered) - place)
            num_parts = max(1, min(share, len(jobs) // _MIN_STACKED))
            limit = self._limits.get(group, self.max_stacked)
            size = min(limit, math.ceil(len(jobs) / num_parts))
            # Heads of one batch size train in one stack.
            jobs.sort(key=lambda job: (job.config.data.batch_size if job.config else 0, job.number))
            while jobs and self._processes.num_free:
                self._run(jobs[:size])
                jobs = jobs[size:]
            if jobs:
                self._gathered[group] = jobs

    def _run(self, jobs: Sequence[Job]) -> None:
        """Starts trials in one process. One that trains alone gets Hydra's usual files."""
        first, configs = jobs[0], [job.config for job in jobs]
        self._jobs[first.number] = list(jobs)
        if first.group is None:
            folder = self._launcher.folder / str(first.number) / ".hydra"
            folder.mkdir(parents=True, exist_ok=True)
            OmegaConf.save(OmegaConf.structured(first.config), folder / "config.yaml")
            OmegaConf.save(OmegaConf.create(list(first.overrides)), folder / "overrides.yaml")
        self._processes.start(
            [job.number for job in jobs],
            _train if first.group is None else _train_stacked,
            [configs],
            first.program if self._launcher.settings.warm else None,
        )

    def _read(self, number: int, ending: Ending) -> list[tuple[Job, Ending]]:
        jobs = self._jobs.pop(number)
        if ending.is_lost and len(jobs) > 1:
            # The stack may have been too large for the memory: next time it is smaller.
            self._limits[jobs[0].group] = max(1, len(jobs) // 4)
            ending = dataclasses.replace(ending, is_lost=False)
        failures = ending.value or [ending.failure] * len(jobs)
        return [
            (job, dataclasses.replace(ending, value=None, failure=failure))
            for job, failure in zip(jobs, failures, strict=True)
        ]


class BatchWorkers:
    """Trials in batches, as any launcher of Hydra takes them, described by overrides.

    Attributes:
        num_jobs: 0: the launcher decides.
        max_stacked: 1: such a launcher has no groups.
    """

    num_jobs = 0
    max_stacked = 1

    def __init__(self, launcher: Launcher, size: float) -> None:
        self._launcher = launcher
        self._size = size
        self._batch: list[Job] = []
        self._num_launched = 0

    def has_room(self) -> bool:
        """Returns whether the batch may grow."""
        return len(self._batch) < self._size

    def start(self, job: Job) -> None:
        """Adds a job to the batch, which `wait` launches."""
        self._batch.append(job)

    def wait(self) -> list[tuple[Job, Ending]]:
        """Runs the batch."""
        overrides = [_overrides(job) for job in self._batch]
        try:
            results = self._launcher.launch(overrides, self._num_launched)
            endings = [_ending(result) for result in results]
        except Exception as error:  # joblib loses the whole batch with one process
            endings = [Ending(failure=spell(error), is_lost=True)] * len(overrides)
        batch, self._batch = self._batch, []
        self._num_launched += len(batch)
        return list(zip(batch, endings, strict=True))

    def time(self, config: Config) -> "Timing":
        """Refuses to time a trial.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            "A plan times its trials in processes of this project's launcher. "
            "Received: another hydra/launcher. Fix: hydra/launcher=processes"
        )

    def stop(self) -> list[tuple[Job, Ending]]:
        """Returns the jobs of a batch that was interrupted."""
        return [(job, Ending(is_interrupted=True)) for job in self._batch]

    def signals(self) -> AbstractContextManager[None]:
        """Returns a context in which SIGTERM and SIGHUP interrupt as Ctrl-C does."""
        return handled(TERMINATION, signal.default_int_handler)


def _train(configs: Sequence[Config]) -> None:
    """Trains trials, in their process."""
    with large_imports():
        from src.training import run_trial
    for config in configs:
        print(run_trial(config).headline())


def _train_stacked(configs: Sequence[Config]) -> list[str]:
    """Trains several heads, in their process; returns the failure of each, or an empty text."""
    with large_imports():
        from src.stacked import train_stacked
    return [
        spell(result) if isinstance(result, BaseException) else ""
        for result in train_stacked(configs)
    ]


def _time(config: Config) -> "Timing":
    """Times a trial, in a process of its own."""
    with large_imports():
        from src.training.timing import time_trial
    return time_trial(config)


def _overrides(job: Job) -> list[str]:
    """Returns the overrides of a trial with what the study has added to its configuration."""
    if job.config is None:
        return list(job.overrides)
    seed, fit, study = job.config.seed, job.config.fit, job.config.study
    return [
        *job.overrides, f"seed={seed}", f"fit.keep_state={fit.keep_state}",
        f"study.trial={study.trial}", f"study.run_id={study.run_id}",
    ]  # fmt: skip


def _ending(result: JobReturn) -> Ending:
    """Returns the ending of a trial; its result is in the store."""
    is_failed = result.status is JobStatus.FAILED
    return Ending(failure=spell(result._return_value) if is_failed else "")
