"""The terminal: what a person reads while a command works."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

stderr = Console(stderr=True, highlight=False, soft_wrap=True)

Item = TypeVar("Item")


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
