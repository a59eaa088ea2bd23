"""Work in threads, and its end by an exception."""

import time

import pytest

from src.core.errors import EnvironmentFaultError
from src.data.faults import disk_faults_explained
from src.data.threads import in_threads


def test_results_come_in_the_order_of_the_items() -> None:
    def later_first(number: int) -> int:
        time.sleep(0.01 * (3 - number))
        return number * 10

    assert list(in_threads(later_first, range(4), "numbers")) == [0, 10, 20, 30]


def test_exception_cancels_what_has_not_begun() -> None:
    begun: list[int] = []

    def fail(number: int) -> None:
        begun.append(number)
        time.sleep(0.01)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(in_threads(fail, range(10_000), "numbers"))
    assert len(begun) < 5_000


def test_disk_fault_names_its_reason_and_fix() -> None:
    message = r"^The table cannot be written: No space left.*\. Received: here\. Fix: move it$"
    with (
        pytest.raises(EnvironmentFaultError, match=message),
        disk_faults_explained("The table cannot be written", "here", "move it"),
    ):
        raise OSError(28, "No space left on device")
