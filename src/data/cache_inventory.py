"""Inventory of a cache folder: decoded pictures and activations of frozen layers."""

import contextlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock


@dataclass(frozen=True)
class Cache:
    """An array that trials share.

    Attributes:
        path: Its file or folder.
        what: Description for people.
        num_pictures: Number of rows.
        num_bytes: Size on disk.
        last_used: Seconds since 1970.
    """

    path: Path
    what: str
    num_pictures: int
    num_bytes: int
    last_used: float

    @property
    def name(self) -> str:
        """Name by which a person evicts it."""
        return self.path.stem


def inventory(cache_dir: Path) -> list[Cache]:
    """Returns all caches of a folder (`data.cache_dir`), the last used first."""
    found = []
    for read, pattern in ((_pictures, "pictures/*.npy"), (_activations, "activations/*/")):
        for path in cache_dir.glob(pattern):
            with contextlib.suppress(FileNotFoundError):  # evicted or renamed meanwhile
                found.append(read(path))
    return sorted(found, key=lambda cache: -cache.last_used)


def evict(cache: Cache) -> None:
    """Deletes a cache. Processes that have it open can use it until they end."""
    with FileLock(cache.path.with_suffix(".lock")):
        if cache.path.is_dir():
            shutil.rmtree(cache.path)
        else:
            cache.path.unlink(missing_ok=True)
            cache.path.with_suffix(".json").unlink(missing_ok=True)


def _pictures(file: Path) -> Cache:
    status = file.stat()
    try:
        shape = np.load(file, mmap_mode="r").shape
        what = f"decoded pictures, {shape[1]} px"
    except (ValueError, OSError, EOFError, IndexError):
        shape, what = (0,), "damaged"
    return Cache(file, what, shape[0], status.st_size, max(status.st_atime, status.st_mtime))


def _activations(folder: Path) -> Cache:
    description = folder / "about.json"
    num_bytes = sum(file.stat().st_size for file in folder.iterdir())
    try:
        about = json.loads(description.read_text())
        view = "" if about["view"] is None else f", augmented view {about['view'] + 1}"
        shape = " × ".join(map(str, about["row_shape"]))
        frozen, size = about["model.freeze"], about["data.image_size"]
        weights = about["model.weights"][:8]
        what = f"activations ({shape}) after frozen {frozen}, {size} px, weights {weights}{view}"
        return Cache(folder, what, int(about["rows"]), num_bytes, description.stat().st_mtime)
    except (OSError, ValueError, KeyError):
        what = "damaged, or of another version"
        return Cache(folder, what, 0, num_bytes, folder.stat().st_mtime)
