import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.core.errors import EnvironmentFaultError
from src.data import shards
from src.data.shards import NotFloat16Error, num_missing_rows, open_or_build

ABOUT = {"rows": 10, "row_shape": [2, 3], "what": "test"}


def values(rows: np.ndarray) -> np.ndarray:
    """Row i holds i, i + 1/8, …"""
    return rows[:, None, None] + np.arange(6).reshape(2, 3) / 8


@pytest.fixture
def three_rows_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 3 * 12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.integers(0, 9), max_size=20))
def test_any_rows_come_back_in_any_order(tmp_path, rows) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shards, "SHARD_BYTES", 3 * 12)
        array = open_or_build(tmp_path, ABOUT, values)
    chosen = np.array(rows, int)
    assert sum(map(len, array.shards)) == 10
    assert len(array.shards) == 4
    assert array[chosen].dtype == np.float16
    assert np.array_equal(array[chosen], values(chosen))


def test_second_opening_computes_nothing(tmp_path, three_rows_a_file) -> None:
    assert num_missing_rows(tmp_path, ABOUT) == 10
    open_or_build(tmp_path, ABOUT, values)
    assert num_missing_rows(tmp_path, ABOUT) == 0
    again = open_or_build(tmp_path, ABOUT, lambda rows: 1 / 0)
    assert np.array_equal(again[np.arange(10)], values(np.arange(10)))


@pytest.mark.usefixtures("three_rows_a_file")
def test_interrupted_build_continues_after_its_last_whole_file(tmp_path) -> None:
    asked: list[int] = []

    def die_in_the_third(rows: np.ndarray) -> np.ndarray:
        if rows[0] == 6:
            raise KeyboardInterrupt
        return values(rows)

    def note(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows)
        return values(rows)

    with pytest.raises(KeyboardInterrupt):
        open_or_build(tmp_path, ABOUT, die_in_the_third)
    array = open_or_build(tmp_path, ABOUT, note)
    assert asked == [6, 7, 8, 9]
    assert np.array_equal(array[np.arange(10)], values(np.arange(10)))


@pytest.mark.usefixtures("three_rows_a_file")
@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None])
def test_damaged_file_is_computed_again(tmp_path, damage) -> None:
    open_or_build(tmp_path, ABOUT, values)
    (file,) = tmp_path.glob("*/00001.npy")
    if damage is None:
        os.truncate(file, file.stat().st_size - 5)
    else:
        file.write_bytes(damage)
    assert num_missing_rows(tmp_path, ABOUT) == 3
    array = open_or_build(tmp_path, ABOUT, values)
    assert np.array_equal(array[np.arange(10)], values(np.arange(10)))


def test_whatever_differs_is_another_array(tmp_path) -> None:
    open_or_build(tmp_path, ABOUT, values)
    other = open_or_build(tmp_path, {**ABOUT, "what": "else"}, lambda rows: values(rows) + 100)
    assert other[np.array([0])][0, 0, 0] == 100
    assert len(list(tmp_path.glob("*/"))) == 2


@pytest.mark.parametrize("bad", [np.inf, np.nan, 70_000.0])
def test_what_is_no_float16_is_refused_and_leaves_no_file(tmp_path, bad) -> None:
    with pytest.raises(NotFloat16Error):
        open_or_build(tmp_path, ABOUT, lambda rows: np.full((len(rows), 2, 3), bad))
    assert not list(tmp_path.glob("*/*.npy*"))


def test_full_disk_is_explained(tmp_path, monkeypatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(EnvironmentFaultError, match=r"No space left.*Fix: free some space"):
        open_or_build(tmp_path, ABOUT, values)


def build_slowly(folder: Path, calls: "multiprocessing.Queue[int]") -> None:
    def slow(rows: np.ndarray) -> np.ndarray:
        calls.put(1)
        time.sleep(0.3)
        return values(rows)

    open_or_build(folder, ABOUT, slow)


def test_two_processes_at_once_compute_it_once(tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    calls = context.Queue()
    both = [context.Process(target=build_slowly, args=(tmp_path, calls)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert calls.get(timeout=5) == 1
    time.sleep(0.1)
    assert calls.empty()
