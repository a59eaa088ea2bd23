"""What runs in a process of its own: job after job, each by the files in its folder.

A pipe tells where the next job's folder is, and takes the word that a job is over.
"""

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
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from src.core.files import whole_file
from src.core.imports import large_imports

INTERRUPTED = 130  # exit status of what Ctrl-C or SIGTERM ended, as in a shell


def write_job(folder: Path, run: Callable[..., JobReturn], arguments: tuple) -> None:
    """Leave a job in its folder: a function and what it is called with.

    By a file: a process that is killed before it has emptied its pipe would block us for ever.
    """
    _result_file(folder).unlink(missing_ok=True)
    if log_file(folder).is_symlink():  # of an earlier try, beside others
        log_file(folder).unlink()
    _write(cloudpickle.dumps((run, arguments)), _payload_file(folder))


def read_result(folder: Path) -> JobReturn | None:
    """What the job in a folder came to; None where it left no word."""
    try:
        result: JobReturn = cloudpickle.loads(_result_file(folder).read_bytes())
    except FileNotFoundError:
        return None
    return result


def log_file(folder: Path) -> Path:
    """What a job prints."""
    return folder / "output.log"


def work(
    jobs: multiprocessing.connection.Connection, cores: set[int], environment: Mapping[str, str]
) -> None:
    """What runs in a worker's process: job after job, until one fails or no other can come."""
    if cores:
        os.sched_setaffinity(0, cores)
    os.environ.update(environment)
    threading.Thread(target=_follow_parent, daemon=True).start()
    home = Path.cwd()
    while (relative := _next_job(jobs)) is not None:
        os.chdir(home)
        folder = home / relative  # a job may go elsewhere
        _print_to(log_file(folder))
        try:
            result = _run(folder)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        _write(_pickled(result), _result_file(folder))
        sys.stdout.flush()
        sys.stderr.flush()
        if result.status is JobStatus.FAILED:
            return  # what a failure leaves behind is nothing to build on
        with contextlib.suppress(OSError):  # nobody listens: no other job will come
            jobs.send(None)
        gc.collect()  # a model is a ring of references: Python would keep several for a while


def _next_job(jobs: multiprocessing.connection.Connection) -> Path | None:
    """Its folder, when it comes; None once the parent has closed the pipe, or is no more."""
    try:
        return Path(jobs.recv())
    except (EOFError, OSError):
        return None


def _run(folder: Path) -> JobReturn:
    """The job that waits in a folder."""
    try:
        payload = _payload_file(folder).read_bytes()
        _payload_file(folder).unlink()
        with large_imports():
            run, arguments = cloudpickle.loads(payload)
        result: JobReturn = run(*arguments)
    except Exception as error:
        traceback.print_exc()
        return JobReturn(status=JobStatus.FAILED, _return_value=error)
    return result


def run_hydra_job(
    context: HydraContext, config: DictConfig, task_function: TaskFunction,
    overrides: Sequence[str], number: int, singletons: dict[str, Any],
) -> JobReturn:  # fmt: skip
    """A job as Hydra runs it. What an earlier one has set is set anew."""
    setup_globals()
    if Plugins in Singleton._instances:  # Hydra would run the modules of all plugins again
        singletons["instances"][Plugins] = Plugins.instance()
    Singleton.set_state(singletons)
    sweep_config = context.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(sweep_config):
        sweep_config.hydra.job.id = f"job_{number}"
        sweep_config.hydra.job.num = number
    HydraConfig.instance().set_config(sweep_config)
    return run_job(
        hydra_context=context,
        config=sweep_config,
        task_function=task_function,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def run_call(call: Callable[[Any], Any], argument: Any) -> JobReturn:
    return JobReturn(status=JobStatus.COMPLETED, _return_value=call(argument))


def _print_to(log: Path) -> None:
    """From now on, what this process and its C++ libraries print goes to the end of a file."""
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _follow_parent() -> None:
    """Stop in good order when the process that started this one is no more, even by kill -9."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _payload_file(folder: Path) -> Path:
    return folder / "job.pickle"


def _result_file(folder: Path) -> Path:
    return folder / "job_return.pickle"


def _pickled(result: JobReturn) -> bytes:
    """A result that the parent can read, whatever exception it carries."""
    try:
        content: bytes = cloudpickle.dumps(result)
        cloudpickle.loads(content)
    except Exception:
        text = "".join(traceback.format_exception(result._return_value))
        error = RuntimeError(text)
        content = cloudpickle.dumps(JobReturn(status=JobStatus.FAILED, _return_value=error))
    return content


def _write(content: bytes, path: Path) -> None:
    with whole_file(path, is_durable=False) as file:
        file.write(content)
