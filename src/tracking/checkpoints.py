"""Checkpoints of unfinished trials, in a folder for each."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from src.config import Config, configuration_hash

CHECKPOINTS = Path("mlruns/checkpoints")


@dataclass(frozen=True)
class SavedTrial:
    """The checkpoint of an unfinished trial.

    Attributes:
        folder: Its folder.
        num_bytes: Its size.
        last_used: Time of the last change, seconds since 1970.
    """

    folder: Path
    num_bytes: int
    last_used: float

    @property
    def name(self) -> str:
        """Study, configuration hash and data digest."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def what(self) -> str:
        """Its kind, for people."""
        return f"checkpoint of an unfinished trial of study {self.folder.parent.name}"


def checkpoint_folder(config: Config, data_digest: str) -> Path:
    """Returns the folder of a trial's checkpoint; the same for all its fidelities."""
    whole = replace(config, fit=replace(config.fit, fidelity=None))
    experiment = quote(config.tracking.experiment, safe=" ")
    return (
        CHECKPOINTS / experiment / config.study.name / f"{configuration_hash(whole)}-{data_digest}"
    )


def saved_trials() -> list[SavedTrial]:
    """Returns all checkpoints, the one that was used last first."""
    found = []
    for folder in CHECKPOINTS.glob("*/*/*/"):
        states = [file.stat() for file in folder.iterdir() if file.name != "lock"]
        if states:  # a finished trial leaves its lock
            newest = max(state.st_mtime for state in states)
            found.append(SavedTrial(folder, sum(state.st_size for state in states), newest))
    return sorted(found, key=lambda saved: -saved.last_used)


def forget(folder: Path) -> bool:
    """Deletes a checkpoint and returns whether it is gone; a running trial keeps its own."""
    if not folder.is_dir():
        return True
    try:
        with FileLock(folder / "lock").acquire(timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        return False
    return True
