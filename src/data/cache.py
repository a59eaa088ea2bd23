"""Cache of decoded pictures: one memory-mapped uint8 array, built once, shared by processes."""

import contextlib
import errno
import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from src.config.identity import pixel_values
from src.config.schema import DataConfig
from src.core.errors import EnvironmentFaultError
from src.core.files import whole_file
from src.data.decoding import UnusablePictureError, decode, library_versions
from src.data.faults import disk_faults_explained
from src.data.threads import in_threads

_RECIPE = 1  # to be raised when decode() gives other pixels for the same file


def recipe(data: DataConfig) -> dict[str, Any]:
    """Returns everything that the pixels of a picture depend on, besides its file.

    The keys of the picture cache and of the activation cache are derived from it.
    """
    return {
        "recipe": _RECIPE,
        "libraries": library_versions(data.decoder),
        **{key: str(value) for key, value in pixel_values(data).items()},
    }


def open_or_build(
    files: dict[str, Path], data: DataConfig
) -> tuple[np.ndarray, dict[str, int], dict[str, tuple[str, str]]]:
    """Opens the cache of these pictures, and builds it if it is missing.

    The key covers the content of the files and the `recipe`. Processes that need the same cache
    at once wait for one of them to build it. The array gets its name when it is complete: a
    killed build leaves no cache.

    Args:
        files: A path for each digest.
        data: How pictures are decoded, and where caches are.

    Returns:
        The pictures, a read-only uint8 memory map of shape `(n, size, size, 3)`; the position of
        each usable one by digest; and reason and detail by digest of those that could not be
        decoded.

    Raises:
        EnvironmentFaultError: If the array cannot be written, as on a full disk.
    """
    digests = sorted(files)
    folder = Path(data.cache_dir) / "pictures"
    key = json.dumps([recipe(data), digests], sort_keys=True)
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    num_bytes = len(files) * data.image_size**2 * 3
    received = f"data.cache_dir={data.cache_dir} ({num_bytes / 1e6:.0f} MB needed)"
    with disk_faults_explained("The picture cache cannot be written", received):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        with FileLock(path.with_suffix(".lock")):
            if not (path.is_file() and path.with_suffix(".json").is_file()):
                _build(path, {digest: files[digest] for digest in digests}, data)
            images = np.load(path, mmap_mode="r")
            problems = json.loads(path.with_suffix(".json").read_text())
    positions = {digest: index for index, digest in enumerate(digests) if digest not in problems}
    return images, positions, problems


def _build(path: Path, files: dict[str, Path], data: DataConfig) -> None:
    """Writes the pixels and the problems, and gives the pixels their name."""
    problems: dict[str, tuple[str, str]] = {}
    shape = (data.image_size, data.image_size, 3)
    with whole_file(path) as array, warnings.catch_warnings():
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(files), *shape)}
        np.lib.format.write_array_header_2_0(array, header)
        array.flush()
        start = array.tell()

        def write(each: tuple[int, tuple[str, Path]]) -> None:
            index, (digest, file) = each
            try:
                image = decode(_read(file, digest), data)
            except UnusablePictureError as error:
                problems[digest] = error.args
                image = np.zeros(shape, np.uint8)
            if os.pwrite(array.fileno(), image.data, start + index * image.nbytes) < image.nbytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        warnings.simplefilter("ignore")  # the audit lists what is wrong with a picture
        for _ in in_threads(write, list(enumerate(files.items())), "decoding faces"):
            pass
        with whole_file(path.with_suffix(".json")) as listed:
            listed.write(json.dumps(problems).encode())


def _read(file: Path, digest: str) -> bytes:
    """Returns the bytes that were audited.

    Raises:
        EnvironmentFaultError: If the file has changed since.
    """
    try:
        content = file.read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != digest:
        raise EnvironmentFaultError(
            "A picture changed while the data set was read. "
            f"Received: {file}. Fix: start the same command again"
        )
    return content


def _remove_leftovers(folder: Path) -> None:
    """Deletes unfinished arrays of killed builds: those whose lock is free."""
    for unfinished in folder.glob("*.npy.unfinished"):
        lock = FileLock(folder / unfinished.name.replace(".npy.unfinished", ".lock"), timeout=0)
        with contextlib.suppress(Timeout), lock:
            unfinished.unlink(missing_ok=True)
