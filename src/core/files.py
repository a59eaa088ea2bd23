"""Files that appear under their names when they are whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path, is_durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write; it replaces `path` when the body ends, and is gone if the body raises.

    A process that is killed leaves `<path>.unfinished`, which nobody reads.

    Args:
        path: Where the file will be.
        is_durable: Whether it is to outlive a power cut too, which costs some milliseconds.

    Raises:
        OSError: If it cannot be written, as on a full disk; what was at `path` stays.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
