import contextlib
import signal
import threading
from collections.abc import Iterator

import pytest

from src.core.signals import (
    TERMINATION,
    handled,
    held_back,
    signals_interrupt,
    whole_step,
)

INTERRUPTS = (signal.SIGINT, *TERMINATION)


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    with handled(INTERRUPTS, signal.default_int_handler):
        yield


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in INTERRUPTS]


@pytest.mark.parametrize("number", INTERRUPTS)
def test_interrupt_waits_for_the_end_of_the_body(number) -> None:
    before, done = handlers(), []

    def interrupted() -> None:
        with held_back():
            with held_back():
                signal.raise_signal(number)
                done.append("inner")
            done.append("outer")
        done.append("never")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["inner", "outer"]
    assert handlers() == before


def test_interrupt_is_not_lost_when_the_body_raises() -> None:
    def failing() -> None:
        with held_back():
            signal.raise_signal(signal.SIGTERM)
            raise OSError("disk full")

    with pytest.raises(KeyboardInterrupt) as caught:
        failing()
    assert isinstance(caught.value.__context__, OSError)


def test_each_signal_reaches_its_handler() -> None:
    noted = []
    with handled(INTERRUPTS, lambda number, frame: noted.append(number)):
        with held_back():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert noted == []
        assert noted == [signal.SIGTERM, signal.SIGINT]


def test_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held_back():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_have_no_signals_to_hold_back() -> None:
    before, seen = handlers(), []

    def body() -> None:
        with held_back():
            seen.append(handlers())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]


def test_interrupt_that_was_ignored_is_repeated_at_the_next_step() -> None:
    steps = []

    def work() -> None:
        with signals_interrupt():
            steps.append("lost")
            with contextlib.suppress(KeyboardInterrupt):  # as a weak reference's callback does
                signal.raise_signal(signal.SIGTERM)
            for number in range(3):
                with whole_step():
                    steps.append(number)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["lost", 0]
    with whole_step():
        pass  # it is forgotten when the work is over
