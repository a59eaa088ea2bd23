"""Output on the terminal."""

import os
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console, JustifyMethod
from rich.progress import track
from rich.table import Table

stderr = Console(stderr=True, highlight=False, soft_wrap=True)

Item = TypeVar("Item")


def show(table: Table) -> None:
    """Prints a table on standard output, 120 columns wide where that is no terminal."""
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def empty_table(*names: str, numbers: Collection[str] = (), title: str | None = None) -> Table:
    """Returns a table with these columns; those of `numbers` are right-aligned and never wrap."""
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for name in names:
        is_number = name in numbers
        justify: JustifyMethod = "right" if is_number else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=is_number)
    return table


def progress(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yields the items with a progress bar and an ETA, on a terminal only."""
    is_hidden = not stderr.is_terminal
    yield from track(items, description, total, console=stderr, transient=True, disable=is_hidden)


@contextmanager
def native_chatter_hidden() -> Iterator[None]:
    """Hides output of C++ libraries on standard error, unless the body raises.

    TensorFlow prints notices about missing drivers before it reads any setting of its verbosity.
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
    """Returns a duration in the largest unit with two digits: `75 s`, `12 min`, `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
