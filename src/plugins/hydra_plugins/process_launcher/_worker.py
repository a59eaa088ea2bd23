"""A worker process: it runs one job after another, each described by a file in its folder."""

import contextlib
import gc
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from src.core.errors import ExplainedError
from src.core.files import whole_file
from src.core.imports import large_imports
from src.search.loop import Ending

INTERRUPTED = 130  # exit status of a process that Ctrl-C or SIGTERM ended, as in a shell
LOG = "output.log"  # in the folder of a job: what it prints
_JOB, _ENDING = "job.pickle", "ending.pickle"  # in the same folder


def write_job(folder: Path, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Writes a job into its folder: a function and its arguments.

    A pipe would block this process if the other one were killed before it had read everything.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _ENDING).unlink(missing_ok=True)
    log = folder / LOG
    if log.is_symlink():  # of an earlier attempt, as one of several jobs
        log.unlink()
    log.touch()
    _write(cloudpickle.dumps((function, arguments)), folder / _JOB)


def read_ending(folder: Path) -> Ending | None:
    """Returns how the job in a folder ended; None if its process died before."""
    try:
        return cloudpickle.loads((folder / _ENDING).read_bytes())
    except FileNotFoundError:
        return None


def spell(error: BaseException) -> str:
    """Returns an error in words, with its type unless it explains itself."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, ExplainedError | CompactHydraException):
        return text
    return f"{type(error).__name__}: {text}"


def work(
    jobs: multiprocessing.connection.Connection, cores: set[int], environment: Mapping[str, str]
) -> None:
    """Runs jobs in this process until one fails or no other can come.

    Args:
        jobs: Gives the folder of each job, and takes a message when the job has ended.
        cores: Processor cores to use; empty for all.
        environment: Further environment variables.
    """
    if cores:
        os.sched_setaffinity(0, cores)
    os.environ.update(environment)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    home = Path.cwd()
    while True:
        os.chdir(home)  # a job may change the directory
        try:
            folder = home / jobs.recv()
        except (EOFError, OSError):  # the parent has closed the pipe, or died
            return
        with (folder / LOG).open("ab", buffering=0) as log:  # C++ libraries print there too
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        try:
            ending = _run(folder)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        _write(cloudpickle.dumps(ending), folder / _ENDING)
        sys.stdout.flush()
        sys.stderr.flush()
        if ending.failure:
            return  # a failed job may leave this process in any state
        with contextlib.suppress(OSError):  # the pipe is closed: no other job will come
            jobs.send(None)
        gc.collect()  # a model is a cycle of references: Python would keep several for a while


def run_hydra_job(
    context: HydraContext, config: DictConfig, task_function: TaskFunction,
    overrides: Sequence[str], number: int, singletons: Mapping[str, Any],
) -> JobReturn:  # fmt: skip
    """Runs a job as Hydra does, in a new process. Only tasks of other applications run so."""
    setup_globals()
    Singleton.set_state(singletons)
    sweep_config = context.config_loader.load_sweep_config(config, list(overrides))
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
    try:
        cloudpickle.loads(cloudpickle.dumps(result))
    except Exception:  # an exception that cannot be pickled
        text = "".join(traceback.format_exception(result._return_value))
        return JobReturn(status=JobStatus.FAILED, _return_value=RuntimeError(text))
    return result


def _run(folder: Path) -> Ending:
    try:
        payload = (folder / _JOB).read_bytes()
        (folder / _JOB).unlink()
        with large_imports():
            function, arguments = cloudpickle.loads(payload)
        return Ending(function(*arguments))
    except Exception as error:
        if isinstance(error, ExplainedError):
            print(f"error: {error}", file=sys.stderr)
        else:
            traceback.print_exc()
        return Ending(failure=spell(error))


def _end_with_parent() -> None:
    """Interrupts this process when its parent ends, even by kill -9."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _write(content: bytes, path: Path) -> None:
    with whole_file(path) as file:
        file.write(content)
