"""Handling of signals that ask a process to end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

TERMINATION = (signal.SIGTERM, signal.SIGHUP)
"""Signals of a batch system, a shutdown, a closed terminal."""


@dataclass
class _State:
    num_holding: int  # open `held_back` contexts of the main thread
    waiting: list[int]  # signals received in them
    is_interrupted: bool  # a signal has interrupted the body of `signals_interrupt`


_state = _State(0, [], False)


@contextmanager
def handled(
    numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Calls the handler for these signals while the body runs.

    Signals that are ignored, as under nohup, stay ignored. Outside the main thread, where Python
    delivers no signals, nothing is changed.
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
    """Defers signals that are `handled` until the body ends.

    For transactions, and for code that an exception may not interrupt at any point. Outside the
    main thread, which no signal interrupts, nothing is changed.
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
    """Raises KeyboardInterrupt in the body on SIGINT, SIGTERM and SIGHUP.

    Only the first SIGTERM or SIGHUP interrupts: the trial is closing its run when another one
    arrives. SIGINT always interrupts.
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
    """Defers an interrupt to the end of the body, and repeats one that was lost earlier.

    A KeyboardInterrupt that is raised within TensorFlow's code can be ignored, or be turned into
    another error.

    Raises:
        KeyboardInterrupt: If `signals_interrupt` raised one before, which was lost.
    """
    with held_back():
        yield
    if _state.is_interrupted:
        raise KeyboardInterrupt
