"""Decoded pictures in one memory-mapped uint8 array, built once and shared by all processes."""

import contextlib
import errno
import hashlib
import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from src.config.schema import Decoder
from src.core.console import progress
from src.core.errors import EnvironmentFaultError
from src.core.files import whole_file
from src.data.decoding import UnusablePictureError, decode

_PORTION = 16  # pictures that a thread takes at a time: to hand over each costs a tenth of it
_RECIPE = 1  # raise it when decode() gives other pixels for the same file


@dataclass(frozen=True)
class DecodedPictures:
    """Pixels, and where each picture is.

    Attributes:
        images: uint8 memory map of shape `(n, size, size, 3)`, read-only.
        index: Position in `images` by digest, usable pictures only.
        problems: Reason and detail by digest, for pictures that could not be decoded.
    """

    images: np.ndarray
    index: dict[str, int]
    problems: dict[str, tuple[str, str]]


def open_or_build(
    files: dict[str, Path], decoder: Decoder, size: int, max_pixels: int, folder: Path
) -> DecodedPictures:
    """Open the cache of these pictures, building it first where it is missing.

    The key covers the files' content, the decoder and the size, so a changed picture is a new
    cache. Processes that need the same cache at once wait for one of them to build it. The
    array gets its name only when it is complete: a killed build leaves no cache.

    Args:
        files: A path for each digest; every picture once.
        decoder: See `decode`.
        size: Edge of the decoded pictures, px.
        max_pixels: See `decode`.
        folder: Where caches lie.

    Raises:
        RuntimeError: If the array cannot be written, as on a full disk.
    """
    digests = sorted(files)
    recipe = f"{_RECIPE} {decoder} {size} {max_pixels} " + " ".join(digests)
    path = folder / f"{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.npy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        with FileLock(path.with_suffix(".lock")):
            if not (path.is_file() and path.with_suffix(".json").is_file()):
                _build(path, {digest: files[digest] for digest in digests}, decoder, size,
                       max_pixels)  # fmt: skip
            images = np.load(path, mmap_mode="r")
            problems = json.loads(path.with_suffix(".json").read_text())
    except OSError as error:
        num_bytes = len(files) * size * size * 3
        raise EnvironmentFaultError(
            f"The picture cache cannot be written: {error.strerror or error}. "
            f"Received: data.cache_dir={folder.parent} ({num_bytes / 1e6:.0f} MB needed). "
            "Fix: free some space, or data.cache_dir=<another folder>"
        ) from error
    index = {digest: place for place, digest in enumerate(digests) if digest not in problems}
    return DecodedPictures(images, index, problems)


def _build(path: Path, files: dict[str, Path], decoder: Decoder, size: int, limit: int) -> None:
    """Write the pixels, then what was wrong, then give the pixels their name."""
    problems: dict[str, tuple[str, str]] = {}

    def pixels(digest: str, file: Path) -> np.ndarray:
        try:
            return decode(_read(file, digest), decoder, size, limit)
        except UnusablePictureError as error:
            problems[digest] = (error.reason, error.detail)
            return np.zeros((size, size, 3), np.uint8)

    with whole_file(path) as array, warnings.catch_warnings():
        header = {
            "descr": "|u1",
            "fortran_order": False,
            "shape": (len(files), size, size, 3),
        }
        np.lib.format.write_array_header_2_0(array, header)
        array.flush()
        start = array.tell()

        def write(portion: list[tuple[int, tuple[str, Path]]]) -> None:
            for place, (digest, file) in portion:
                image = pixels(digest, file)
                offset = start + place * image.nbytes
                if os.pwrite(array.fileno(), image.data, offset) < image.nbytes:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        warnings.simplefilter("ignore")  # what is wrong with a picture, the audit says
        pool = ThreadPoolExecutor(os.cpu_count())
        places = list(enumerate(files.items()))
        writes = [
            pool.submit(write, places[first : first + _PORTION])
            for first in range(0, len(places), _PORTION)
        ]
        try:
            for each in progress(writes, "decoding faces", len(writes)):
                each.result()
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupt need not wait for what has not begun
        with whole_file(path.with_suffix(".json")) as account:
            account.write(json.dumps(problems).encode())


def _read(file: Path, digest: str) -> bytes:
    """The bytes that were audited; a file that has changed since would get a wrong name here."""
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
    """Delete what killed builds left: an unfinished array whose lock nobody holds."""
    for unfinished in folder.glob("*.npy.unfinished"):
        lock = FileLock(folder / unfinished.name.replace(".npy.unfinished", ".lock"), timeout=0)
        with contextlib.suppress(Timeout), lock:
            unfinished.unlink(missing_ok=True)
