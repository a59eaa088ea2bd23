"""A large float16 array in several files, built once and shared by processes."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from src.core.files import whole_file
from src.data.faults import disk_faults_explained

SHARD_BYTES = 64_000_000  # loss of a killed build at most
_ABOUT = "about.json"


class NotFloat16Error(ValueError):
    """A value that is infinite or not a number as a float16."""


@dataclass(frozen=True)
class ShardedArray:
    """Rows in memory-mapped files.

    Attributes:
        shards: float16, with equal numbers of rows except for the last.
    """

    shards: tuple[np.ndarray, ...]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Returns copies of these rows, float16 of shape `(len(rows), …)`."""
        if len(self.shards) == 1:
            return self.shards[0][rows]
        rows_a_shard = len(self.shards[0])
        result = np.empty((len(rows), *self.shards[0].shape[1:]), np.float16)
        for index, row in enumerate(rows):
            result[index] = self.shards[row // rows_a_shard][row % rows_a_shard]
        return result


def num_bytes(num_rows: int, row_shape: tuple[int, ...]) -> int:
    """Returns the size of an array on disk."""
    return 2 * num_rows * int(np.prod(row_shape))


def num_missing_rows(folder: Path, about: Mapping[str, Any]) -> int:
    """Returns the number of rows that `open_or_build` would compute."""
    files = _files(folder / _key(about), about)
    return sum(len(rows) for file, rows in files if not _is_whole(file, rows, about))


def open_or_build(
    folder: Path, about: Mapping[str, Any], compute: Callable[[np.ndarray], np.ndarray]
) -> ShardedArray:
    """Opens an array and computes its missing rows.

    A file gets its name when it is complete: a killed build continues after its last complete
    file. Processes that need the same array at once wait for one of them to build it.

    Args:
        folder: Parent folder of the arrays.
        about: Description of the array, in JSON; its hash is the array's name. `rows` and
            `row_shape` are its shape.
        compute: Returns the values of rows, given their numbers: those of one file, rising.

    Raises:
        NotFloat16Error: If a value is too large for a float16, or no number.
        EnvironmentFaultError: If the files cannot be written, as on a full disk.
    """
    path = folder / _key(about)
    megabytes = num_bytes(about["rows"], about["row_shape"]) / 1e6
    with disk_faults_explained(
        "The activation cache cannot be written",
        f"{folder} ({megabytes:.0f} MB needed)",
        "free some space (`make caches` lists what can go), or data.cache_dir=<another folder>, or "
        "fit.cache_activations=false",
    ):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{path.name}.lock"):  # also against eviction
            path.mkdir(exist_ok=True)
            if not (path / _ABOUT).is_file():
                (path / _ABOUT).write_text(json.dumps(about, indent=2))
            files = _files(path, about)
            for file, rows in files:
                if not _is_whole(file, rows, about):
                    values = _converted(compute(rows))
                    with whole_file(file) as opened:
                        np.save(opened, values)
            os.utime(path / _ABOUT)  # time of the last use
            return ShardedArray(tuple(np.load(file, mmap_mode="r") for file, _ in files))


def _key(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _files(path: Path, about: Mapping[str, Any]) -> list[tuple[Path, np.ndarray]]:
    """Returns each file of the array with its rows."""
    num_rows = about["rows"]
    rows_a_shard = max(1, SHARD_BYTES // num_bytes(1, about["row_shape"]))
    return [
        (path / f"{number:05d}.npy", np.arange(start, min(start + rows_a_shard, num_rows)))
        for number, start in enumerate(range(0, num_rows, rows_a_shard))
    ]


def _is_whole(file: Path, rows: np.ndarray, about: Mapping[str, Any]) -> bool:
    try:
        return np.load(file, mmap_mode="r").shape == (len(rows), *about["row_shape"])
    except (OSError, ValueError, EOFError):
        return False


def _converted(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    if not np.isfinite(halves).all():
        raise NotFloat16Error(f"the largest is {np.abs(values).max():.3g}")
    return halves
