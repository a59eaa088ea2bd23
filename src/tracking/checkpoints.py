"""Folders of the states of unfinished trials."""

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from src.config import Config, configuration_hash

CHECKPOINTS = Path("mlruns/checkpoints")


def checkpoint_folder(config: Config, data_digest: str) -> Path:
    """Returns the folder of a trial's state, which all its fidelities share."""
    whole = replace(config, fit=replace(config.fit, fidelity=None))
    experiment = quote(config.tracking.experiment, safe=" ")
    return (
        CHECKPOINTS / experiment / config.study.name / f"{configuration_hash(whole)}-{data_digest}"
    )


def forget(folder: Path) -> None:
    """Deletes the state of a trial that ended at its fidelity and will not be promoted.

    The state of a running trial is kept.
    """
    if folder.is_dir():
        with suppress(Timeout), FileLock(folder / "lock").acquire(timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
