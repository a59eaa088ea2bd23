"""Work on many files in threads."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from src.core.console import progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Item], Result], items: Collection[Item], description: str
) -> Iterator[Result]:
    """Yields the result of each item, in order, with a progress bar.

    An interrupt or an exception cancels the items that have not begun.

    Args:
        work: Called in several threads.
        items: Its arguments.
        description: Label of the progress bar.
    """
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in progress(futures, description, len(futures)):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
