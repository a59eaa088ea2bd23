"""Signals that ask a process to end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

TERMINATION = (signal.SIGTERM, signal.SIGHUP)
"""What ends a process from outside: a batch system, a shutdown, a closed terminal."""


@dataclass
class _State:
    num_holding: int  # bodies of `held_back` that the main thread is in
    waiting: list[int]  # signals that came meanwhile
    is_interrupted: bool  # whether the body of `signals_interrupt` was


_state = _State(0, [], False)


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

    def handle_or_wait(number: int, frame: FrameType | None) -> None:
        if _state.num_holding:
            _state.waiting.append(number)
        else:
            handler(number, frame)

    before = {number: signal.getsignal(number) for number in numbers}
    for number, former in before.items():
        if former is not signal.SIG_IGN:
            signal.signal(number, handle_or_wait)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def held_back() -> Iterator[None]:
    """While the body runs, signals that are `handled` wait; they are when the body is over.

    For what must not be torn apart, and for code that does not bear an exception anywhere.
    Outside the main thread, which no signal interrupts, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.num_holding += 1
    try:
        yield
    finally:
        _state.num_holding -= 1
        while _state.waiting and not _state.num_holding:
            signal.raise_signal(_state.waiting.pop(0))


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """While the body runs, SIGTERM and a closed terminal do what Ctrl-C does, but only once.

    Whoever sends more of them meets a trial that is closing its run. Ctrl-C always interrupts.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _state.is_interrupted and number != signal.SIGINT:
            return
        _state.is_interrupted = True
        raise KeyboardInterrupt

    with handled((signal.SIGINT, *TERMINATION), interrupt):
        try:
            yield
        finally:
            _state.is_interrupted = False


@contextmanager
def whole_step() -> Iterator[None]:
    """A step of long work: an interrupt waits for it, and one that got lost before is repeated.

    Raised amid TensorFlow's own code, a KeyboardInterrupt can be ignored, or come out as another
    error.

    Raises:
        KeyboardInterrupt: If `signals_interrupt` has raised one and the work goes on all the same.
    """
    with held_back():
        yield
    if _state.is_interrupted:
        raise KeyboardInterrupt


def raise_interrupt(number: int, frame: FrameType | None) -> None:
    """A handler that does what Ctrl-C does."""
    raise KeyboardInterrupt
