"""Signals that ask a process to end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATION = (signal.SIGTERM, signal.SIGHUP)
"""What ends a process from outside: a batch system, a shutdown, a closed terminal."""


@contextmanager
def handled(
    numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """While the body runs, these signals call the handler; those ignored (nohup) stay so.

    Outside the main thread, which Python leaves no signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    for number, former in before.items():
        if former is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def held_back() -> Iterator[None]:
    """While the body runs, signals that have a handler wait; it gets them when the body is over.

    For what must not be torn apart. A signal that ends the process at once still does.
    """
    waiting: list[int] = []
    numbers = (signal.SIGINT, *TERMINATION)
    try:
        with handled(
            tuple(number for number in numbers if callable(signal.getsignal(number))),
            lambda number, frame: waiting.append(number),
        ):
            yield
    finally:
        for number in waiting:
            signal.raise_signal(number)


def raise_interrupt(number: int, frame: FrameType | None) -> None:
    """A handler that does what Ctrl-C does."""
    raise KeyboardInterrupt
