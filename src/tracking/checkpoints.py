"""Where the states of unfinished trials lie."""

import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from src.config import Config, configuration_hash

CHECKPOINTS = Path("mlruns/checkpoints")


def checkpoint_folder(config: Config, data_digest: str) -> Path:
    """The folder of a trial's state; the same for all its fidelities."""
    whole = replace(config, fit=replace(config.fit, fidelity=None))
    experiment = quote(config.tracking.experiment, safe=" ")
    return (
        CHECKPOINTS / experiment / config.study.name / f"{configuration_hash(whole)}-{data_digest}"
    )


def forget(folder: Path) -> None:
    """Delete the state that a trial kept at the end of its fidelity: it will not be promoted.

    A trial that is running keeps its own.
    """
    if not folder.is_dir():
        return
    try:
        with FileLock(folder / "lock").acquire(timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        return
