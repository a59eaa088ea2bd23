"""The terminal: what a person reads while a command works."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table

stderr = Console(stderr=True, highlight=False, soft_wrap=True)

Item = TypeVar("Item")


def show(table: Table) -> None:
    """Print a table on standard output, wide enough where that is no terminal."""
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def progress(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """The items, with a progress bar and an ETA that vanish at the end; none off a terminal."""
    yield from track(
        items,
        description,
        total,
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


@contextmanager
def native_chatter_hidden() -> Iterator[None]:
    """Keep what C++ libraries write to standard error off the terminal, unless the body fails.

    TensorFlow greets with a page of notices about drivers that a machine need not have, before
    any of its settings for quietness are read.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except Exception:
            hidden.seek(0)
            os.write(terminal, hidden.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def spell_seconds(seconds: float) -> str:
    """A duration in the largest unit that leaves two digits: `75 s`, `12 min`, `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
