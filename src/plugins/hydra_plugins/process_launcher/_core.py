"""Processes for jobs: started, waited for, told to stop; whatever becomes of one is data."""

import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import (
    JobReturn,
    JobStatus,
    configure_log,
    filter_overrides,
    run_job,
    setup_globals,
)
from omegaconf import open_dict

if TYPE_CHECKING:
    from hydra_plugins.process_launcher.launcher import ProcessLauncher

INTERRUPTED = 130  # exit status of what Ctrl-C or SIGTERM ended, as in a shell
_spawning = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork


@dataclass(frozen=True)
class Exit:
    """How a job's process ended.

    Attributes:
        number: The job's.
        job_return: Hydra's result; None where the process died before it could write one.
        exit_code: As of `multiprocessing`: negative for the signal that killed it.
        log: File with what the job printed.
    """

    number: int
    job_return: JobReturn | None
    exit_code: int
    log: Path


@dataclass(frozen=True)
class _Running:
    process: multiprocessing.process.BaseProcess
    slot: int
    folder: Path


class Processes:
    """The jobs that run now."""

    def __init__(self, launcher: "ProcessLauncher") -> None:
        assert launcher.config is not None  # noqa: S101  Hydra has called setup()
        self._launcher = launcher
        self._folder = Path(str(launcher.config.hydra.sweep.dir))
        self._running: dict[int, _Running] = {}

    def has_room(self) -> bool:
        """Whether one more job may start now."""
        return len(self._running) < self._launcher.n_jobs

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Start a job; its folder is `<sweep dir>/<number>`."""
        launcher = self._launcher
        taken = {running.slot for running in self._running.values()}
        slot = next(slot for slot in range(launcher.n_jobs) if slot not in taken)
        folder = self._folder / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        _result_file(folder).unlink(missing_ok=True)
        # By a file: a child that is killed before it has emptied its pipe would block us for ever.
        payload = cloudpickle.dumps(
            (launcher.hydra_context, launcher.config, launcher.task_function, list(overrides),
             number, Singleton.get_state())
        )  # fmt: skip
        _payload_file(folder).write_bytes(payload)
        process = _spawning.Process(
            target=_work,
            args=(folder, _cores(launcher.n_jobs, launcher.cores_per_job, slot),
                  _environment(launcher.gpus, slot)),
            name=f"job {number}",
        )  # fmt: skip
        with _interrupts_held_back():
            process.start()
        self._running[number] = _Running(process, slot, folder)

    def wait(self, timeout: float | None = None) -> list[Exit]:
        """The jobs that have ended, after one has or the timeout (seconds) is over."""
        sentinels = [running.process.sentinel for running in self._running.values()]
        multiprocessing.connection.wait(sentinels, timeout)
        exits = []
        for number, running in list(self._running.items()):
            if running.process.is_alive():
                continue
            running.process.join()
            del self._running[number]
            exit_code = running.process.exitcode or 0
            result = _read(_result_file(running.folder))
            exits.append(Exit(number, result, exit_code, running.folder / "output.log"))
        return exits

    def stop(self) -> list[Exit]:
        """Ask all jobs to save and stop, and wait for them; a second interrupt kills them."""
        for running in self._running.values():
            running.process.terminate()
        exits = []
        try:
            while self._running:
                exits += self.wait()
        except KeyboardInterrupt:
            for running in self._running.values():
                running.process.kill()
            raise
        return exits


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
    except KeyboardInterrupt:
        processes.stop()
        raise
    return [results[number] for number in sorted(results)]


def _lost(ended: Exit) -> JobReturn:
    error = RuntimeError(f"The process of job {ended.number} died with {ended.exit_code}")
    return JobReturn(status=JobStatus.FAILED, _return_value=error)


def _work(folder: Path, cores: set[int], environment: Mapping[str, str]) -> None:
    """What runs in the job's process."""
    if cores:
        os.sched_setaffinity(0, cores)
    os.environ.update(environment)
    with (folder / "output.log").open("ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        payload = _payload_file(folder).read_bytes()
        _payload_file(folder).unlink()
        context, config, task_function, overrides, number, singletons = cloudpickle.loads(payload)
        setup_globals()
        Singleton.set_state(singletons)
        sweep_config = context.config_loader.load_sweep_config(config, overrides)
        with open_dict(sweep_config):
            sweep_config.hydra.job.id = f"job_{number}"
            sweep_config.hydra.job.num = number
        HydraConfig.instance().set_config(sweep_config)
        result = run_job(
            hydra_context=context,
            config=sweep_config,
            task_function=task_function,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        traceback.print_exc()
        result = JobReturn(status=JobStatus.FAILED, _return_value=error)
    _write(result, _result_file(folder))


def _follow_parent() -> None:
    """Stop in good order when the process that started this one is no more, even by kill -9."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


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


def _payload_file(folder: Path) -> Path:
    return folder / "job.pickle"


def _result_file(folder: Path) -> Path:
    return folder / "job_return.pickle"


def _write(result: JobReturn, file: Path) -> None:
    """Write a result that the parent can read, whatever exception it carries."""
    try:
        content = cloudpickle.dumps(result)
        cloudpickle.loads(content)
    except Exception:
        text = "".join(traceback.format_exception(result._return_value))
        content = cloudpickle.dumps(
            JobReturn(status=JobStatus.FAILED, _return_value=RuntimeError(text))
        )
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(file)


def _read(file: Path) -> JobReturn | None:
    try:
        result: JobReturn = cloudpickle.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    return result
