"""One transaction writes what MLflow's own calls write: the same into two stores, and all rows."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric
from mlflow.tracking import MlflowClient

from src.tracking import entries
from src.tracking.entries import Entries, NewRun, create, write
from tests.unit.tracking.stored_rows import everything

EXPERIMENT_ID = "1"
Act = Callable[[], None]


@pytest.fixture
def both_ways(in_new_store, one_by_one, monkeypatch) -> Callable[[Act], tuple[dict, dict]]:
    """Do the same in two stores, at once and one by one; all that then stands in each."""

    def act(do: Act) -> tuple[dict, dict]:
        monkeypatch.setattr("time.time", lambda: 1.8e9)
        with monkeypatch.context() as patched:
            patched.setattr(entries, "_write_one_by_one", lambda *_: pytest.fail("not at once"))
            folder = in_new_store("at_once")
            do()
            at_once = everything(folder)
        one_by_one()
        folder = in_new_store("one_by_one")
        do()
        return at_once, everything(folder)

    return act


def make(*names: str) -> list[str]:
    runs = [NewRun(name, {"trial": name}, "RUNNING") for name in names]
    return [run_id for run_id, _ in create(EXPERIMENT_ID, runs)]


def seen(name: str = "sample", digest: str = "d") -> DatasetInput:
    data = Dataset(name, digest, "local", '{"uri": "/data"}', schema="{}", profile="{}")
    return DatasetInput(data, [InputTag("mlflow.data.context", "training")])


def curve(key: str, *points: tuple[int, float, int]) -> list[Metric]:
    return [Metric(key, value, timestamp, step) for step, value, timestamp in points]


def test_runs_are_made_alike(both_ways) -> None:
    def do() -> None:
        runs = [
            NewRun("one", {"mlflow.user": "somebody", "state": "WAITING"}, "SCHEDULED"),
            NewRun("two", {}, "RUNNING"),
        ]
        found = create(EXPERIMENT_ID, runs)
        for run_id, artifact_uri in found:
            assert MlflowClient().get_run(run_id).info.artifact_uri == artifact_uri
        assert [MlflowClient().get_run(run_id).info.run_name for run_id, _ in found] == [
            "one", "two"
        ]  # fmt: skip
        assert create(EXPERIMENT_ID, []) == []

    at_once, one_by_one = both_ways(do)
    assert at_once == one_by_one
    assert len(at_once["runs"]) == 2


def test_all_that_a_run_can_get_is_written_alike(both_ways) -> None:
    def do() -> None:
        one, two, three = make("one", "two", "three")
        write(
            {
                one: Entries(
                    metrics=[
                        *curve("mae/val", (1, 9.0, 10), (2, 8.5, 20)),
                        *curve("loss", (1, math.nan, 10), (1, math.inf, 10)),
                    ],
                    params={"a.b": "1", "long": "x" * 7000},
                    tags={"state": "RUNNING", "long": "y" * 9000, "mlflow.runName": "the first"},
                    inputs=[seen(), seen()],
                ),
                two: Entries(params={"a.b": "2"}, inputs=[seen(), seen(digest="e")]),
                three: Entries(),
            }
        )
        write(
            {
                one: Entries(
                    tags={"state": "COMPLETE"}, status="FINISHED", end_time=1_800_000_000_123,
                    dropped_tags={"trial", "never there"},
                ),
                two: Entries(status="KILLED", inputs=[seen()]),
                three: Entries(metrics=curve("mae/val", (1, 7.0, 5))),
            }
        )  # fmt: skip
        write({one: Entries(status="RUNNING")})  # as it is when it is opened again

    at_once, one_by_one = both_ways(do)
    assert at_once == one_by_one
    assert [len(at_once[table]) for table in ("datasets", "inputs", "input_tags")] == [2, 3, 3]


def test_latest_point_is_the_one_that_mlflow_takes(both_ways) -> None:
    """By step, then time, then value, whatever comes first and in however many writes."""

    def do() -> None:
        rng = np.random.default_rng(0)
        runs = make(*(f"run {number}" for number in range(6)))
        for _ in range(5):
            write(
                {
                    run_id: Entries(
                        metrics=[
                            Metric(str(rng.choice(["a", "b", "c"])), float(rng.integers(3)),
                                   int(rng.integers(1, 4)), int(rng.integers(3)))
                            for _ in range(7)
                        ]
                    )
                    for run_id in runs
                }
            )  # fmt: skip

    at_once, one_by_one = both_ways(do)
    assert at_once == one_by_one


def test_writing_once_more_changes_nothing(both_ways) -> None:
    its = Entries(
        metrics=curve("mae/val", (1, 9.0, 10)), tags={"state": "RUNNING"},
        dropped_tags={"trial"}, inputs=[seen()], status="KILLED", end_time=5,
    )  # fmt: skip
    after = []

    def do() -> None:
        (run_id,) = make("one")
        for _ in range(2):
            write({run_id: its})
            after.append(everything(Path.cwd()))

    both_ways(do)
    assert after[0] == after[1] == after[2] == after[3]


@pytest.mark.parametrize("is_at_once", [True, False])
def test_what_mlflow_refuses_is_refused_and_said(store, one_by_one, is_at_once) -> None:
    if not is_at_once:
        one_by_one()
    (run_id,) = make("one")
    write({run_id: Entries(params={"a": "1"})})
    write({run_id: Entries(params={"a": "1", "b": "2"})})  # the same again is none of a change
    changed = write({run_id: Entries(params={"a": "2"})})
    assert "Changing param values is not allowed" in str(changed[run_id])
    misnamed = write({run_id: Entries(metrics=curve("mae(val)", (1, 9.0, 10)))})
    assert "mae" in str(misnamed[run_id])
    missing = write({"0" * 32: Entries(tags={"state": "RUNNING"})})
    assert "not found" in str(missing["0" * 32])
    assert MlflowClient().get_run(run_id).data.params == {"a": "1", "b": "2"}


@pytest.mark.parametrize("is_at_once", [True, False])
def test_run_that_is_refused_costs_the_others_nothing(store, one_by_one, is_at_once) -> None:
    if not is_at_once:
        one_by_one()
    one, two, deleted = make("one", "two", "deleted")
    MlflowClient().delete_run(deleted)
    its = Entries(tags={"state": "COMPLETE"}, metrics=curve("mae/val", (1, 9.0, 10)))
    refused = write({one: its, "0" * 32: its, deleted: its, two: its})
    assert refused.keys() == {"0" * 32, deleted}
    assert "not found" in str(refused["0" * 32])
    assert not MlflowClient().get_run(deleted).data.metrics
    for run_id in (one, two):
        assert MlflowClient().get_run(run_id).data.metrics == {"mae/val": 9}


def test_fault_in_the_midst_leaves_nothing_behind(store, monkeypatch) -> None:
    one, two = make("one", "two")
    before = everything(store)
    monkeypatch.setattr(entries, "_write_one_by_one", lambda *_: None)
    write({one: Entries(params={"a": "1"}), two: Entries(tags={"t": "x"}), "gone": Entries(
        tags={"t": "x"})})  # fmt: skip
    assert everything(store) == before
