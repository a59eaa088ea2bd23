"""Worker processes: started, given one job after another, and stopped."""

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import os
import signal
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra_plugins.process_launcher._worker import (
    INTERRUPTED,
    LOG,
    read_ending,
    run_hydra_job,
    work,
    write_job,
)

from src.search.loop import Ending

if TYPE_CHECKING:
    from hydra_plugins.process_launcher.launcher import ProcessLauncher

_LAST_LINES = 40  # of the output of a failed job
_END_SECONDS = 20  # for a process without a job to end; Python takes a second or two
_spawning = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork


@dataclass
class _Worker:
    """A process and its job.

    Attributes:
        process: The process.
        jobs: Takes the folder of each job, and gives a message when the job has ended. Closed: no
            further job will come, and the process ends after its present one.
        slot: Share of the machine that it uses.
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

    def is_done(self) -> bool:
        """Returns whether the job has ended and the process waits for another."""
        if self.jobs.closed or not self.jobs.poll():
            return False
        try:
            self.jobs.recv()
        except (EOFError, OSError):  # the process is about to end
            self.jobs.close()
            return False
        return True


class Processes:
    """Running jobs, and the processes that wait for another one.

    There are never more processes than jobs may run at a time. A process that waits is used again
    for a job of the same program. A job that fails, or is lost, ends its process.
    """

    def __init__(self, launcher: "ProcessLauncher") -> None:
        self._launcher = launcher
        self._settings = launcher.settings
        self._workers: list[_Worker] = []
        self._is_stopping = False

    @property
    def num_free(self) -> int:
        """Number of jobs that may start now."""
        return self._settings.n_jobs - len(self._busy())

    def start(
        self,
        numbers: Sequence[int],
        function: Callable[..., Any],
        arguments: Sequence[Any],
        program: Hashable = None,
    ) -> None:
        """Starts a call of a function, which may do several jobs at once.

        Args:
            numbers: Of the jobs. The first identifies the call; each has a folder with its log.
            function: Its return value is the ending's value.
            arguments: Of the call.
            program: A job of the same program may follow in the process; after None, no job.
        """
        first, *others = numbers
        folder = self._launcher.folder / str(first)
        write_job(folder, function, arguments)
        for number in others:
            link = self._launcher.folder / str(number) / LOG
            link.parent.mkdir(parents=True, exist_ok=True)
            if link.is_symlink():
                link.unlink()
            if not link.exists():  # else an earlier attempt has left a log
                link.symlink_to(Path("..") / str(first) / LOG)
        worker = self._worker_for(program)
        worker.number, worker.folder = first, folder
        with contextlib.suppress(OSError):  # it has just died: the job is lost
            worker.jobs.send(str(folder))
        if program is None:
            worker.jobs.close()

    def wait(self, timeout: float | None = None) -> list[tuple[int, Ending]]:
        """Waits until a job has ended, or for `timeout` seconds, and returns those that have."""
        endings: list[tuple[int, Ending]] = []
        while not endings:
            busy = self._busy()
            signs = [worker.process.sentinel for worker in busy]
            signs += [worker.jobs.fileno() for worker in busy if not worker.jobs.closed]
            if not multiprocessing.connection.wait(signs, timeout):
                break
            endings = [ended for worker in busy if (ended := self._ending(worker)) is not None]
        return endings

    def stop(self) -> list[tuple[int, Ending]]:
        """Asks all jobs to save and stop, and waits for them and for every process.

        A second interrupt kills them.
        """
        self._is_stopping = True
        endings = []
        try:
            for worker in self._busy():
                worker.jobs.close()
                worker.process.terminate()
            while self._busy():
                endings += self.wait()
            self.end_idle()
        except KeyboardInterrupt:
            for worker in list(self._workers):
                worker.process.kill()
                self._remove(worker)
            raise
        return endings

    def end_idle(self, most: int | None = None) -> None:
        """Ends processes that wait for a job, which frees their memory: all, or at most so many."""
        idle = self._idle()[:most]
        for worker in idle:
            worker.jobs.close()
        for worker in idle:
            worker.process.join(_END_SECONDS)
            if worker.process.is_alive():  # all results are written
                worker.process.kill()
            self._remove(worker)

    def _ending(self, worker: _Worker) -> tuple[int, Ending] | None:
        """Returns how a worker's job has ended; None if it has not."""
        number = worker.number
        if not worker.process.is_alive():
            self._remove(worker)
        elif worker.is_done():
            worker.number = None
        else:
            return None
        if number is None:
            return None
        ending = read_ending(worker.folder)
        log = worker.folder / LOG
        if ending is None and self._is_stopping:
            ending = Ending(is_interrupted=True)
        if ending is None:
            reason = _death(worker.process.exitcode or 0)
            ending = Ending(failure=f"{reason} (see {log})", is_lost=True)
        last_lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return number, dataclasses.replace(ending, details="\n".join(last_lines))

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.number is not None]

    def _idle(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.number is None]

    def _worker_for(self, program: Hashable) -> _Worker:
        """Returns a process that waits and has this program, or a new one in place of another."""
        settings = self._settings
        for worker in self._idle():
            if not worker.process.is_alive():
                self._remove(worker)
            elif worker.program == program is not None:
                return worker
        if len(self._workers) == settings.n_jobs:
            self.end_idle(most=1)
        taken = {worker.slot for worker in self._workers}
        slot = next(slot for slot in range(settings.n_jobs) if slot not in taken)
        ours, theirs = _spawning.Pipe()
        cores = _cores(settings.n_jobs, settings.cores_per_job, slot)
        environment = dict(self._launcher.config.hydra.job.env_set)
        if gpus := settings.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = str(gpus[slot % len(gpus)])
        process = _spawning.Process(target=work, args=(theirs, cores, environment))
        # It does not see Ctrl-C: this process asks it, once, to stop.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with theirs:
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        worker = _Worker(process, ours, slot, program)
        self._workers.append(worker)
        return worker

    def _remove(self, worker: _Worker) -> None:
        worker.process.join()
        worker.jobs.close()
        self._workers.remove(worker)


def launch(
    launcher: "ProcessLauncher", job_overrides: Sequence[Sequence[str]], initial_job_idx: int
) -> list[JobReturn]:
    """Runs a batch of Hydra's jobs and returns their results in order; a lost job has failed."""
    config = launcher.config
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    processes = Processes(launcher)
    waiting = list(enumerate(job_overrides, start=initial_job_idx))
    results: dict[int, JobReturn] = {}
    try:
        while len(results) < len(job_overrides):
            while waiting and processes.num_free:
                number, overrides = waiting.pop(0)
                print(f"#{number}: {' '.join(filter_overrides(overrides))}")
                processes.start([number], run_hydra_job, (
                    launcher.hydra_context, config, launcher.task_function, list(overrides),
                    number, Singleton.get_state(),
                ))  # fmt: skip
            for number, ending in processes.wait():
                error = RuntimeError(f"Job {number}: {ending.failure}")
                failed = JobReturn(status=JobStatus.FAILED, _return_value=error)
                results[number] = failed if ending.failure else ending.value
    finally:
        processes.stop()
    return [results[number] for number in sorted(results)]


def _death(exit_code: int) -> str:
    """Returns why a process may have ended; a negative exit code is the signal that killed it."""
    if exit_code == INTERRUPTED:
        return "the process was asked to end, but not by this sweep"
    if exit_code >= 0:
        return f"the process ended with status {exit_code}"
    name = signal.Signals(-exit_code).name
    hint = "; the machine may have run out of memory" if name == "SIGKILL" else ""
    return f"the process was ended by {name}{hint}"


def _cores(n_jobs: int, cores_per_job: int | None, slot: int) -> set[int]:
    """Returns the processor cores of a slot; empty if all may be used, or the system has no say."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    share = cores_per_job or max(1, len(cores) // n_jobs)
    if share >= len(cores):
        return set()
    return {cores[(slot * share + place) % len(cores)] for place in range(share)}
