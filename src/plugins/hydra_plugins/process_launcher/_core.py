"""Processes that run jobs: started, handed one job after another, told to stop.

What a job needs and what it comes to are files in its folder. A pipe tells its process where that
folder is, and tells this one when the job is over. Whatever becomes of a process is data.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import os
import signal
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.core.utils import (
    JobReturn,
    JobStatus,
    configure_log,
    filter_overrides,
    setup_globals,
)
from hydra_plugins.process_launcher._worker import (
    log_file,
    read_result,
    run_call,
    run_hydra_job,
    work,
    write_job,
)

if TYPE_CHECKING:
    from hydra_plugins.process_launcher.launcher import ProcessLauncher

_PATIENCE_SECONDS = 20  # for a process without a job to end; Python takes a second or two
_spawning = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork


@dataclass(frozen=True)
class Exit:
    """How a job ended.

    Attributes:
        number: The job's.
        job_return: Hydra's result; None where the process died before it could write one.
        exit_code: As of `multiprocessing`: negative for the signal that killed the process; 0
            where that waits for another job.
        log: File with what the job printed.
    """

    number: int
    job_return: JobReturn | None
    exit_code: int
    log: Path


@dataclass
class _Worker:
    """A process, and the job that it is at.

    Attributes:
        process: It.
        jobs: Takes the folder of each job, and answers when the job is over. Closed: no further
            job will come, and the process ends after the one that it has.
        slot: Which share of the machine it has.
        program: What its jobs have in common; None for a process that takes one job only.
        number: Of its job; None while it waits for one.
        folder: Of its last job.
    """

    process: multiprocessing.process.BaseProcess
    jobs: multiprocessing.connection.Connection
    slot: int
    program: Hashable
    number: int | None = None
    folder: Path = Path()

    def begin(self, number: int, folder: Path) -> None:
        """Hand a job over."""
        self.number, self.folder = number, folder
        with contextlib.suppress(OSError):  # it has just died: the job is lost
            self.jobs.send(str(folder))
        if self.program is None:
            self.jobs.close()

    def is_done(self) -> bool:
        """Whether the job is over and another may come."""
        if self.jobs.closed or not self.jobs.poll():
            return False
        try:
            self.jobs.recv()
        except (EOFError, OSError):  # it is about to end
            self.jobs.close()
            return False
        return True


class Processes:
    """The jobs that run now, and the processes that wait for another one.

    There are never more processes than jobs may run at a time. One that waits is used again for
    a job of the same program. A job that fails, or is lost, ends its process.
    """

    def __init__(self, launcher: "ProcessLauncher") -> None:
        assert launcher.config is not None  # noqa: S101  Hydra has called setup()
        self._launcher = launcher
        self._folder = Path(str(launcher.config.hydra.sweep.dir))
        self._workers: list[_Worker] = []

    @property
    def num_running(self) -> int:
        """Jobs that run now."""
        return len(self._busy())

    def has_room(self) -> bool:
        """Whether one more job may start now."""
        return self.num_running < self._launcher.n_jobs

    def start(self, number: int, overrides: Sequence[str], program: Hashable = None) -> None:
        """Start a job; its folder is `<sweep dir>/<number>`.

        Args:
            number: The job's.
            overrides: What its configuration is composed from.
            program: A job of the same program may follow it in its process; after None, no job.
        """
        launcher = self._launcher
        self._begin(number, program, run_hydra_job, (
            launcher.hydra_context, launcher.config, launcher.task_function, list(overrides),
            number, Singleton.get_state(),
        ))  # fmt: skip

    def start_call(
        self,
        numbers: Sequence[int],
        call: Callable[[Any], Any],
        argument: Any,
        program: Hashable = None,
    ) -> None:
        """Start a call of a function, without Hydra, that does several jobs at once.

        Args:
            numbers: The jobs'; it is known by the first, and each has its log in its folder.
            call: What it returns is the result.
            argument: What it is called with.
            program: As of `start`.
        """
        first, *others = numbers
        self._begin(first, program, run_call, (call, argument))
        for number in others:
            link = log_file(self._folder / str(number))
            link.parent.mkdir(parents=True, exist_ok=True)
            if link.is_symlink():
                link.unlink()
            if not link.exists():  # else it has a log of its own, of an earlier try
                link.symlink_to(Path("..") / str(first) / link.name)

    def _begin(
        self, number: int, program: Hashable, run: Callable[..., JobReturn], arguments: tuple
    ) -> None:
        folder = self._folder / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        write_job(folder, run, arguments)
        self._worker_for(program).begin(number, folder)

    def wait(self, timeout: float | None = None) -> list[Exit]:
        """The jobs that have ended, after one has or the timeout (seconds) is over."""
        exits: list[Exit] = []
        while not exits:
            busy = self._busy()
            signs = [worker.process.sentinel for worker in busy]
            signs += [worker.jobs.fileno() for worker in busy if not worker.jobs.closed]
            if not multiprocessing.connection.wait(signs, timeout):
                break
            exits = [ended for worker in busy if (ended := self._exit(worker)) is not None]
        return exits

    def stop(self) -> list[Exit]:
        """Ask all jobs to save and stop, and wait for them and for every process.

        A second interrupt kills them.
        """
        exits = []
        try:
            for worker in self._busy():
                worker.jobs.close()
                worker.process.terminate()
            while self._busy():
                exits += self.wait()
            self.end_idle()
        except KeyboardInterrupt:
            for worker in self._workers:
                worker.process.kill()
            for worker in list(self._workers):
                self._bury(worker)
            raise
        return exits

    def end_idle(self) -> None:
        """End the processes that wait for a job; what they held of memory is free then."""
        self._end(self._idle())

    def _exit(self, worker: _Worker) -> Exit | None:
        """How a worker's job has ended; None where it has not."""
        number, exit_code = worker.number, 0
        if not worker.process.is_alive():
            self._bury(worker)
            exit_code = worker.process.exitcode or 0
        elif worker.is_done():
            worker.number = None
        else:
            return None
        assert number is not None  # noqa: S101  it was busy
        result = read_result(worker.folder)
        return Exit(number, result, exit_code, log_file(worker.folder))

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.number is not None]

    def _idle(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.number is None]

    def _worker_for(self, program: Hashable) -> _Worker:
        """One that waits and has run this program; or a new one, which may cost another."""
        launcher = self._launcher
        for worker in self._idle():
            if not worker.process.is_alive():
                self._bury(worker)
            elif worker.program == program is not None:
                return worker
        if len(self._workers) == launcher.n_jobs:
            self._end(self._idle()[:1])
        taken = {worker.slot for worker in self._workers}
        slot = next(slot for slot in range(launcher.n_jobs) if slot not in taken)
        ours, theirs = _spawning.Pipe()
        process = _spawning.Process(
            target=work,
            args=(theirs, _cores(launcher.n_jobs, launcher.cores_per_job, slot),
                  _environment(launcher.gpus, slot)),
            name=f"worker {slot}",
        )  # fmt: skip
        with theirs, _interrupts_held_back():
            process.start()
        worker = _Worker(process, ours, slot, program)
        self._workers.append(worker)
        return worker

    def _end(self, idle: Sequence[_Worker]) -> None:
        for worker in idle:
            worker.jobs.close()
        for worker in idle:
            worker.process.join(_PATIENCE_SECONDS)
            if worker.process.is_alive():  # all that it did is written down
                worker.process.kill()
            self._bury(worker)

    def _bury(self, worker: _Worker) -> None:
        worker.process.join()
        worker.jobs.close()
        self._workers.remove(worker)


def launch(
    launcher: "ProcessLauncher", job_overrides: Sequence[Sequence[str]], initial_job_idx: int
) -> list[JobReturn]:
    """A batch, as Hydra wants it launched: results in order, a lost job a failed one."""
    assert launcher.config is not None  # noqa: S101  Hydra has called setup()
    setup_globals()
    configure_log(launcher.config.hydra.hydra_logging, launcher.config.hydra.verbose)
    processes = Processes(launcher)
    waiting = list(enumerate(job_overrides, start=initial_job_idx))
    results: dict[int, JobReturn] = {}
    try:
        while len(results) < len(job_overrides):
            while waiting and processes.has_room():
                number, overrides = waiting.pop(0)
                print(f"#{number}: {' '.join(filter_overrides(overrides))}")
                processes.start(number, overrides)
            for ended in processes.wait():
                results[ended.number] = ended.job_return or _lost(ended)
    finally:
        processes.stop()
    return [results[number] for number in sorted(results)]


def _lost(ended: Exit) -> JobReturn:
    error = RuntimeError(f"The process of job {ended.number} died with {ended.exit_code}")
    return JobReturn(status=JobStatus.FAILED, _return_value=error)


def _cores(n_jobs: int, cores_per_job: int | None, slot: int) -> set[int]:
    """The processor cores of a slot; empty where all may be used, or the system cannot say."""
    if not hasattr(os, "sched_getaffinity"):
        return set()
    cores = sorted(os.sched_getaffinity(0))
    share = cores_per_job or max(1, len(cores) // n_jobs)
    if share >= len(cores):
        return set()
    return {cores[(slot * share + place) % len(cores)] for place in range(share)}


def _environment(gpus: Sequence[int] | None, slot: int) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": str(gpus[slot % len(gpus)])} if gpus else {}


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started in the body never see Ctrl-C: their parent tells them, once, to stop."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
