"""Runs of trials: their start, their values and their end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.tracking import MlflowClient

from src.tracking import Run, Start, trial_runs
from src.tracking.study import StudyStore
from tests.unit.tracking.stored_rows import everything

EXPERIMENT = "faces"
NAMES = ("complete", "pruned", "infeasible")
FACES = pd.DataFrame({"file_name": ["a.png", "b.png"], "age": [3.0, 4.0]})


def starts(*names: str, **resumed: str) -> list[Start]:
    return [
        Start(name, {"study": "s", "configuration_hash": name}, resumed.get(name)) for name in names
    ]


def epoch(number: int, error: float) -> dict[str, float]:
    return {"epoch": number, "mae/val": error / number, "mae/train": 1.0, "never": float("nan")}


def log_all(run: Run, name: str) -> None:
    """Log what a trial logs from its start to its end."""
    run.log_text("{}", "config.json")
    run.log_faces(FACES, source="/data", name="sample", digest="d")
    run.log_params({"optimizer.learning_rate": 1e-3, "name": name})
    for number in (1, 2):
        run.log_epochs([epoch(number, 9)])
    if name == "pruned":
        run.set_pruned("behind")
    if name == "infeasible":
        run.set_infeasible("diverged")
        return
    run.log_table(FACES, "predictions/val.parquet")
    figure = Figure()
    figure.subplots().plot([1, 2])
    run.log_figure(figure, "figures/curve.png")
    run.log_final({"best/val_mae": 4.5})
    run.set_tags({"mlflow.note.content": "**fine**"})


def files(folder: Path) -> set[tuple[str, bytes]]:
    """Returns the artifacts of all runs, without the runs' ids."""
    root = folder / "mlruns/artifacts"
    return {
        ("/".join(file.relative_to(root).parts[2:]), file.read_bytes())
        for file in root.rglob("*")
        if file.is_file()
    }


def fetch(run: Run) -> mlflow.entities.Run:
    return MlflowClient().get_run(run.id)


def state(run: Run) -> tuple[str, str]:
    stored = fetch(run)
    return stored.info.status, stored.data.tags["state"]


@contextmanager
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("locked", TEMPORARILY_UNAVAILABLE)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_batch", refuse)
        yield


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """Names of the writing calls to MLflow, in their order."""
    seen: list[str] = []

    def watch(name: str) -> None:
        real = getattr(MlflowClient, name)

        def watched(*arguments, **keywords):
            seen.append(name)
            return real(*arguments, **keywords)

        monkeypatch.setattr(MlflowClient, name, watched)

    for name in ("create_run", "log_inputs", "log_batch", "set_tag", "set_terminated"):
        watch(name)
    return seen


def test_runs_are_the_same_however_many_are_open(in_new_store, monkeypatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1.8e9)
    alone = in_new_store("one after another")
    for start in starts(*NAMES):
        with trial_runs(EXPERIMENT, [start], system_metrics=False) as (run,):
            log_all(run, start.name)
    many = in_new_store("many")
    with trial_runs(EXPERIMENT, starts(*NAMES), system_metrics=False) as runs:
        for run, name in zip(runs, NAMES, strict=True):
            log_all(run, name)
    assert everything(many) == everything(alone)
    assert files(many) == files(alone)
    assert {row[5] for row in everything(many)["runs"]} == {"FINISHED", "FAILED"}


def test_trial_is_written_in_few_calls(store, calls) -> None:
    with trial_runs(EXPERIMENT, [Start("a", {"study": "s"})], system_metrics=False) as (run,):
        run.log_params({"a": 1})
        assert calls == ["create_run", "log_batch"]
        run.log_epochs([epoch(1, 9)])
        run.log_epochs([epoch(2, 9)])
        assert calls[2:] == ["log_batch"] * 2
        run.log_final({"b": 1})
    assert calls[4:] == ["log_batch", "log_batch", "set_terminated"]


def test_file_is_replaced_whole_or_not_at_all(store, monkeypatch) -> None:
    with trial_runs(EXPERIMENT, [Start("a", {})], system_metrics=False) as (run,):
        run.log_text("first", "notes/a.txt")
        run.log_text("second", "notes/a.txt")
        with monkeypatch.context() as patched:
            patched.setattr("shutil.copyfileobj", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                run.log_text("third", "notes/a.txt")
        client = MlflowClient()
        (listed,) = client.list_artifacts(run.id, "notes")
        assert Path(client.download_artifacts(run.id, listed.path)).read_text() == "second"


def test_no_run_is_mlflows_active_one(store) -> None:
    with trial_runs(EXPERIMENT, starts("a", "b"), system_metrics=False) as runs:
        assert mlflow.active_run() is None
        assert [state(run) for run in runs] == [("RUNNING", "RUNNING")] * 2


def test_prepared_runs_are_filled_in_the_order_of_their_starts(store) -> None:
    study = StudyStore(EXPERIMENT, "s")
    study.open_parent({})
    names = ["a", "b", "c", "d", "e"]
    ids = {
        name: study.create_trial(f"trial {name}", {"configuration_hash": name}) for name in names
    }
    client = MlflowClient()
    client.log_param(ids["a"], "begun", "yes")
    for step, error in ((1, 9.0), (2, 8.0)):
        client.log_metric(ids["a"], "mae/val", error, step=step)
    for tag in ("infeasible", "pruned", "failure"):
        client.set_tag(ids["a"], tag, "because")
    client.set_terminated(ids["b"], "FINISHED")
    client.delete_run(ids["c"])
    client.set_tag(ids["d"], "configuration_hash", "another")
    with trial_runs(EXPERIMENT, starts(*names, **ids), system_metrics=False) as runs:
        kept = [run.id == ids[name] for run, name in zip(runs, names, strict=True)]
        assert kept == [True, False, False, False, True]
        assert [run.is_new for run in runs] == [False, True, True, True, True]
        for run in runs:
            run.log_epochs([epoch(2, 16)])  # the first has it
    first = fetch(runs[0])
    assert not {"infeasible", "pruned", "failure"} & first.data.tags.keys()
    assert first.data.tags["mlflow.parentRunId"] == study.parent_id
    assert first.info.run_name == "trial a"
    assert [point.value for point in client.get_metric_history(runs[0].id, "mae/val")] == [9, 8]
    assert [fetch(run).info.run_name for run in runs[1:]] == ["b", "c", "d", "trial e"]


@pytest.mark.parametrize("wrong", ["no such run", "x' OR '1' = '1", "0" * 32])
def test_run_that_is_not_there_is_replaced(store, wrong: str) -> None:
    with trial_runs(EXPERIMENT, [Start("a", {}, wrong)], system_metrics=False) as runs:
        assert runs[0].id != wrong
        assert runs[0].is_new


def test_run_that_is_deleted_meanwhile_does_not_keep_others_open(store) -> None:
    with (
        pytest.raises(MlflowException),
        trial_runs(EXPERIMENT, starts("a", "b"), system_metrics=False) as runs,
    ):
        MlflowClient().delete_run(runs[0].id)
    assert state(runs[1]) == ("FINISHED", "COMPLETE")


def test_refused_values_are_not_sent_again(store) -> None:
    runs: list[Run] = []

    def log() -> None:
        with trial_runs(EXPERIMENT, [Start("a", {})], system_metrics=False) as (run,):
            runs.append(run)
            run.log_final({"mae(val)": 9.0})

    with pytest.raises(MlflowException, match="mae"):
        log()
    assert state(runs[0]) == ("FAILED", "FAILED")


def test_run_that_is_deleted_meanwhile_raises(store) -> None:
    def log() -> None:
        with trial_runs(EXPERIMENT, [Start("a", {})], system_metrics=False) as (run,):
            MlflowClient().delete_run(run.id)
            run.log_epochs([epoch(1, 9)])

    with pytest.raises(MlflowException, match="deleted"):
        log()


def test_run_whose_end_could_not_be_written_is_still_open(store, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    with trial_runs(EXPERIMENT, starts("a"), system_metrics=False) as runs:
        with monkeypatch.context() as patched:
            patched.setattr(MlflowClient, "log_batch", fail)
            with pytest.raises(OSError, match="No space"):
                runs[0].close()
        assert runs[0].is_open
    assert state(runs[0]) == ("FINISHED", "COMPLETE")


def test_each_trial_ends_in_its_own_state(store) -> None:
    with trial_runs(EXPERIMENT, starts("a", "b", "c", "d"), system_metrics=False) as runs:
        a, b, c, d = runs
        a.set_infeasible("diverged")
        a.close()
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            b.fail()
        assert [run.is_open for run in runs] == [False, False, True, True]
        d.set_pruned("behind")
    states = [state(run) for run in (a, b, c, d)]
    assert states == [("FAILED", "FAILED"), ("FAILED", "FAILED"), ("FINISHED", "COMPLETE"),
                      ("FINISHED", "PRUNED")]  # fmt: skip
    kept = [[file.path for file in MlflowClient().list_artifacts(run.id)] for run in (a, b, c, d)]
    assert kept == [[], ["traceback.txt"], [], []]


@pytest.mark.parametrize(
    ("fault", "ending"),
    [(KeyboardInterrupt, ("KILLED", "WAITING")), (SystemExit, ("KILLED", "WAITING")),
     (ZeroDivisionError, ("FAILED", "FAILED"))],
)  # fmt: skip
def test_exception_ends_open_runs_and_loses_none_of_their_values(
    store, monkeypatch, fault: type[BaseException], ending: tuple[str, str]
) -> None:
    runs: list[Run] = []

    def run_into_it() -> None:
        with trial_runs(EXPERIMENT, starts("a", "b"), system_metrics=False) as opened:
            runs.extend(opened)
            runs[0].close()
            with busy(monkeypatch):
                runs[1].log_epochs([epoch(1, 9)])
            raise fault

    with pytest.raises(fault):
        run_into_it()
    assert [state(run) for run in runs] == [("FINISHED", "COMPLETE"), ending]
    assert fetch(runs[1]).data.metrics["mae/val"] == 9
    traces = [file.path for file in MlflowClient().list_artifacts(runs[1].id)]
    assert traces == (["traceback.txt"] if ending[0] == "FAILED" else [])


def test_epochs_are_queued_while_the_store_is_busy(store, monkeypatch, capsys) -> None:
    with trial_runs(EXPERIMENT, [Start("a", {})], system_metrics=False) as (run,):
        with busy(monkeypatch):
            run.log_epochs([epoch(1, 9)])
            run.log_epochs([epoch(2, 9)])
        assert "Tracking store busy: 4 metric values queued." in capsys.readouterr().err
        run.log_epochs([epoch(3, 9)])
    history = MlflowClient().get_metric_history(run.id, "mae/val")
    assert sorted((point.step, point.value) for point in history) == [(1, 9), (2, 4.5), (3, 3)]


def test_queued_epochs_are_written_with_the_end(store, monkeypatch) -> None:
    with (
        trial_runs(EXPERIMENT, [Start("a", {})], system_metrics=False) as (run,),
        busy(monkeypatch),
    ):
        run.log_epochs([epoch(1, 9)])
    assert fetch(run).data.metrics["mae/val"] == 9


def test_all_but_epochs_is_retried_until_the_store_accepts_it(store, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    write, tries = MlflowClient.log_batch, []

    def busy_twice(*arguments, **keywords):
        tries.append(1)
        if len(tries) < 3:
            raise MlflowException("locked", TEMPORARILY_UNAVAILABLE)
        return write(*arguments, **keywords)

    with trial_runs(EXPERIMENT, [Start("a", {})], system_metrics=False) as (run,):
        monkeypatch.setattr(MlflowClient, "log_batch", busy_twice)
        run.log_params({"a": 1})
        assert len(tries) == 3
        assert fetch(run).data.params == {"a": "1"}


def test_failing_store_is_printed_and_the_first_exception_is_raised(
    store, monkeypatch, capsys
) -> None:
    runs: list[Run] = []

    def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    def run_into_it() -> None:
        with trial_runs(EXPERIMENT, starts("a", "b"), system_metrics=False) as opened:
            runs.extend(opened)
            monkeypatch.setattr(MlflowClient, "log_text", fail)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_into_it()
    assert "No space left" in capsys.readouterr().err
    assert [state(run) for run in runs] == [("FAILED", "FAILED")] * 2


def test_system_metrics_are_recorded_with_the_first_run(store, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    with trial_runs(EXPERIMENT, starts("a", "b"), system_metrics=True) as runs:
        for _ in range(200):
            if "system/cpu_utilization_percentage" in fetch(runs[0]).data.metrics:
                break
    seen = ["system/cpu_utilization_percentage" in fetch(run).data.metrics for run in runs]
    assert seen == [True, False]


def test_failing_system_metrics_end_no_trial(store, monkeypatch, capsys) -> None:
    monkeypatch.setattr("src.tracking.runs.SystemMetricsMonitor", lambda *_, **__: 1 / 0)
    with trial_runs(EXPERIMENT, [Start("a", {})], system_metrics=True) as (run,):
        pass
    assert state(run) == ("FINISHED", "COMPLETE")
    assert "not recorded: division by zero" in capsys.readouterr().err


def test_faces_are_described_as_mlflow_does(store) -> None:
    from mlflow.data.pandas_dataset import from_pandas

    faces = pd.DataFrame({"file_name": ["a.png"] * 3000, "age": 3.0, "split": "val"})
    with trial_runs(EXPERIMENT, [Start("a", {})], system_metrics=False) as (run,):
        run.log_faces(faces, source="/data", name="many", digest="m")
    (seen,) = fetch(run).inputs.dataset_inputs
    theirs = from_pandas(faces, source="/data", name="many", digest="m").to_dict()
    assert json.loads(seen.dataset.profile) == json.loads(theirs["profile"])
    assert {key: getattr(seen.dataset, key) for key in ("name", "digest", "source", "schema")} == {
        key: theirs[key] for key in ("name", "digest", "source", "schema")
    }
    assert seen.dataset.source_type == theirs["source_type"]
