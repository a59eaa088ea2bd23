"""One trial in one process, looked at through MLflow's own client."""

import json
import logging
import math
import os
import signal
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.tracking import MlflowClient
from sqlalchemy import Engine, event

from src.core.errors import UsageError
from src.core.metrics import mean_absolute_error
from src.core.signals import signals_interrupt
from src.training import finish
from src.training.program import forget_kept_model
from tests.integration.stored import artifacts, curve, fetch, read_artifact, same_numbers

pytestmark = pytest.mark.slow

GOLDEN_LOSS = 13.5714
"""Mean absolute error while training the first epoch, years."""


def test_finished_run_is_complete_in_mlflow(run) -> None:
    result = run("study.trial=7")
    stored = fetch(result.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.info.run_name == "trial 7"
    tags, params, metrics = stored.data.tags, stored.data.params, stored.data.metrics
    assert tags["state"] == "COMPLETE"
    assert tags["study"] == "adhoc"
    assert tags["trial"] == "7"
    assert params["optimizer.learning_rate"] == "0.01"
    assert params["log10_learning_rate"] == "-2.0000"
    assert params["seed"] == "0"
    assert int(params["num_train"]) + int(params["num_val"]) + int(params["num_test"]) == 60
    for key in ("mae/train", "mae/val", "mae/gap", "loss/train", "loss/val", "learning_rate"):
        assert [step for step, _ in curve(result.run_id, key)] == [1, 2, 3, 4], key
    assert metrics["best/val_mae"] == min(value for _, value in curve(result.run_id, "mae/val"))
    assert metrics["last/val_mae"] == curve(result.run_id, "mae/val")[-1][1]
    for key in ("best/train_mae", "best/gap", "best/epoch", "val/rmse", "val/median_error",
                "val/cs5", "val/bias", "val/mean_predictor_mae",
                "val/median_predictor_mae", "time/images_per_second",
                "time/seconds_per_epoch", "memory/peak_gib"):  # fmt: skip
        assert key in metrics, key
    assert "test/mae" not in metrics
    assert 0.1 < metrics["memory/peak_gib"] < 100
    assert artifacts(result.run_id) == {
        "audit.csv", "config.json", "figures/learning_curve.png",
        "figures/predicted_against_true.png", "metrics/train_by_age_band.csv",
        "metrics/val_by_age_band.csv", "predictions/train.parquet", "predictions/val.parquet",
        "provenance/git.diff", "provenance/machine.json", "provenance/packages.txt",
    }  # fmt: skip
    inputs = stored.inputs.dataset_inputs
    assert [item.dataset.digest for item in inputs] == [tags["data_digest"]]
    config = json.loads(read_artifact(result.run_id, "config.json").read_text())
    assert config["data.batch_size"] == 8
    assert not list(Path("mlruns/checkpoints").rglob("*.npy"))


def test_scalars_follow_from_the_stored_predictions(run) -> None:
    result = run()
    table = pd.read_parquet(read_artifact(result.run_id, "predictions/val.parquet"))
    error = mean_absolute_error(table["age"].to_numpy(), table["prediction"].to_numpy())
    assert result.value == pytest.approx(error, abs=1e-5)
    train = pd.read_parquet(read_artifact(result.run_id, "predictions/train.parquet"))
    train_error = mean_absolute_error(train["age"].to_numpy(), train["prediction"].to_numpy())
    assert result.metrics["best/train_mae"] == pytest.approx(train_error, abs=1e-5)
    assert result.metrics["best/gap"] == pytest.approx(error - train_error, abs=1e-5)
    low, high = result.metrics["best/gap_low"], result.metrics["best/gap_high"]
    assert low < result.metrics["best/gap"] < high
    assert result.metrics["best/val_mae_low"] < error < result.metrics["best/val_mae_high"]


def test_same_seed_gives_the_same_numbers_and_another_seed_others(run) -> None:
    first, second, third = run("seed=0"), run("seed=0"), run("seed=1")
    assert first.run_id != second.run_id
    assert same_numbers(first, second)
    assert not same_numbers(first, third)
    digests = {fetch(r.run_id).data.tags["data_digest"] for r in (first, third)}
    assert len(digests) == 1  # replicates share one split


def test_first_epoch_is_the_golden_one(run) -> None:
    """Initial weights, dropout, order, augmentation and drawn faces in one number."""
    (first,) = run("fit.epochs=1").history.epochs
    assert first["loss/running"] == pytest.approx(GOLDEN_LOSS, rel=1e-3), (
        "The first epoch gives another loss. If seeds, order, augmentation, initial weights or "
        "drawn faces were meant to change, put the new value here and say so in the commit."
    )


def test_step_and_prediction_are_traced_once_each(run, traces) -> None:
    forget_kept_model()
    run("fit.epochs=3")
    building = 1
    assert traces.count(True) == 1
    assert traces.count(False) <= building + 1


@pytest.mark.parametrize(
    ("epoch", "overrides"),
    [
        (2, ["optimizer=adam", "schedule=constant"]),
        (4, ["optimizer=adam", "schedule=constant"]),
        (2, ["optimizer=adamw", "schedule=warmup_cosine"]),
        (2, ["optimizer=sgd", "schedule=cosine"]),
        (2, ["fit.precision=mixed_float16"]),
        (2, ["fit.precision=mixed_bfloat16"]),
    ],
    ids=str,
)
def test_interrupted_trial_continues_to_the_same_numbers(
    run, run_until_epoch, epoch, overrides
) -> None:
    overrides = [*overrides, "optimizer.learning_rate=1e-3"]
    undisturbed = run(*overrides, "study.name=undisturbed")

    killed = run_until_epoch(epoch, *overrides)

    resumed = run(*overrides)
    assert resumed.run_id == killed.info.run_id
    assert same_numbers(resumed, undisturbed)
    for key in ("mae/train", "mae/val", "loss/running", "learning_rate"):
        assert curve(resumed.run_id, key) == curve(undisturbed.run_id, key), key
    assert fetch(resumed.run_id).info.status == "FINISHED"
    assert fetch(resumed.run_id).data.tags["state"] == "COMPLETE"


@pytest.mark.parametrize("epoch", [2, 4])
def test_deleted_run_of_an_interrupted_trial_is_replaced_by_a_complete_one(
    run, run_until_epoch, epoch
) -> None:
    killed = run_until_epoch(epoch)
    MlflowClient().delete_run(killed.info.run_id)
    resumed = run()
    assert resumed.run_id != killed.info.run_id
    assert [step for step, _ in curve(resumed.run_id, "mae/val")] == [1, 2, 3, 4]
    assert fetch(resumed.run_id).data.params["data.batch_size"] == "8"


def test_prepared_run_is_filled_and_keeps_its_name_and_tags(run) -> None:
    client = MlflowClient()
    first = run("study.name=other")
    prepared = client.create_run("1", run_name="mine", tags={"mlflow.parentRunId": first.run_id})
    client.update_run(prepared.info.run_id, status="SCHEDULED")
    result = run(f"study.run_id='{prepared.info.run_id}'")
    assert result.run_id == prepared.info.run_id
    stored = fetch(result.run_id)
    assert (stored.info.status, stored.info.run_name) == ("FINISHED", "mine")
    assert stored.data.tags["mlflow.parentRunId"] == first.run_id
    assert stored.data.params["data.batch_size"] == "8"
    assert artifacts(result.run_id) == artifacts(first.run_id)


def test_prepared_run_gets_the_epochs_before_an_interruption_too(run, run_until_epoch) -> None:
    killed = run_until_epoch(2)
    prepared = MlflowClient().create_run("1").info.run_id
    result = run(f"study.run_id='{prepared}'")
    assert result.run_id == prepared
    assert [step for step, _ in curve(prepared, "mae/val")] == [1, 2, 3, 4]
    assert fetch(killed.info.run_id).info.status == "KILLED"


@pytest.mark.parametrize("ending", ["delete", "finish"])
def test_prepared_run_that_cannot_be_used_is_replaced(run, ending: str) -> None:
    client = MlflowClient()
    used = run("seed=5")
    if ending == "delete":
        client.delete_run(used.run_id)
    before = fetch(used.run_id).to_dictionary()
    result = run(f"study.run_id='{used.run_id}'")
    assert result.run_id != used.run_id
    assert fetch(result.run_id).data.tags["state"] == "COMPLETE"
    assert fetch(used.run_id).to_dictionary() == before


def test_success_takes_the_marks_of_an_earlier_failure_away(run, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(finish, "final_metrics", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run()
    (failed,) = MlflowClient().search_runs(["1"])
    for tag in ("infeasible", "pruned", "failure", "artifact_failure"):
        MlflowClient().set_tag(failed.info.run_id, tag, "because")
    assert run().run_id == failed.info.run_id
    stored = fetch(failed.info.run_id)
    assert stored.info.status == "FINISHED"
    assert not {"infeasible", "pruned", "failure", "artifact_failure"} & stored.data.tags.keys()


def test_run_that_died_before_it_was_described_is_described(run, monkeypatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("src.tracking.run.Run.log_table", die)  # in the midst of it
        with pytest.raises(KeyboardInterrupt):
            run()
    (killed,) = MlflowClient().search_runs(["1"])
    result = run(f"study.run_id='{killed.info.run_id}'")
    assert result.run_id == killed.info.run_id
    assert "audit.csv" in artifacts(result.run_id)
    assert fetch(result.run_id).data.params["data.batch_size"] == "8"
    assert len(fetch(result.run_id).inputs.dataset_inputs) == 1


def test_signals_after_the_first_wait_for_the_run_to_be_closed() -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    closed = []

    def be_interrupted() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
            closed.append(True)

    with pytest.raises(KeyboardInterrupt), signals_interrupt():
        be_interrupted()
    assert closed
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == handlers


@pytest.mark.parametrize("key", ["mae/val", "best/val_mae"])
def test_interrupt_within_a_transaction_does_not_lock_the_store(run, request, key) -> None:
    interrupted = []

    def interrupt(connection, cursor, statement, parameters, *_: object) -> None:
        if not interrupted and "INTO metrics" in statement and key in str(parameters):
            interrupted.append(key)
            os.kill(os.getpid(), signal.SIGTERM)

    event.listen(Engine, "before_cursor_execute", interrupt)
    request.addfinalizer(lambda: event.remove(Engine, "before_cursor_execute", interrupt))
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run("fit.epochs=2")
    assert interrupted
    assert time.monotonic() - started < 20  # as long as MLflow waits for a locked database
    (killed,) = MlflowClient().search_runs(["1"])
    assert killed.info.status == "KILLED"
    result = run("fit.epochs=2")
    assert result.run_id == killed.info.run_id
    assert [step for step, _ in curve(result.run_id, "mae/val")] == [1, 2]


def test_resume_false_starts_again(run, run_until_epoch) -> None:
    killed = run_until_epoch(1)
    assert run("fit.resume=false").run_id != killed.info.run_id


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY half of it"])
def test_damaged_checkpoint_is_reported_and_the_trial_starts_again(
    run, run_until_epoch, capsys, damage
) -> None:
    undisturbed = run("study.name=undisturbed")
    run_until_epoch(1)
    (last,) = Path("mlruns/checkpoints/face-age/adhoc").rglob("last.npy")
    last.write_bytes(damage)
    assert same_numbers(run(), undisturbed)
    assert "starts again" in capsys.readouterr().err


def test_diverging_trial_is_infeasible_with_step_and_learning_rate(run) -> None:
    result = run("optimizer=sgd", "optimizer.clipnorm=null", "optimizer.learning_rate=1e30",
                 "model.loss=mse")  # fmt: skip
    assert result.state == "FAILED"
    assert math.isinf(result.value)
    assert "step" in result.infeasible
    assert "1e+30" in result.infeasible
    stored = fetch(result.run_id)
    assert stored.info.status == "FAILED"
    assert stored.data.tags["infeasible"] == result.infeasible
    assert "Infeasible" in result.headline()


@pytest.mark.parametrize(
    "defective", ["src.data.dataset.assign_splits", "src.training.finish.final_metrics"]
)
def test_failure_of_ours_leaves_its_traceback_with_the_run(run, monkeypatch, defective) -> None:
    monkeypatch.setattr(defective, lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run()
    (failed,) = MlflowClient().search_runs(["1"])
    assert failed.info.status == "FAILED"
    assert failed.data.tags["state"] == "FAILED"
    text = read_artifact(failed.info.run_id, "traceback.txt").read_text()
    assert "ZeroDivisionError" in text
    monkeypatch.undo()


def test_early_stopping_keeps_the_best_epoch(run) -> None:
    result = run("fit.epochs=30", "fit.early_stopping_patience=2", "optimizer.learning_rate=0.3")
    best = int(result.metrics["best/epoch"])
    assert len(result.history) == best + 2 < 30
    assert result.value == min(e["mae/val"] for e in result.history.epochs)


def test_large_training_set_is_measured_on_a_fixed_subset(run) -> None:
    result = run("fit.train_eval_limit=10")
    again = run("fit.train_eval_limit=10")
    whole = run("study.name=whole")
    subset, repeated, everything = (
        [epoch["mae/train"] for epoch in trial.history.epochs] for trial in (result, again, whole)
    )
    assert subset == repeated != everything
    assert [e["mae/val"] for e in result.history.epochs] == [
        e["mae/val"] for e in whole.history.epochs
    ]


def test_test_part_is_touched_only_when_asked(run) -> None:
    result = run("fit.evaluate_test=true")
    assert result.metrics["test/mae"] > 0
    assert "predictions/test.parquet" in artifacts(result.run_id)
    with pytest.raises(UsageError, match=r"data\.split\.test_fraction=0\.2"):
        run("fit.evaluate_test=true", "data.split.test_fraction=0")


def test_model_is_kept_by_policy_and_loads_with_pyfunc(run) -> None:
    worse = ["optimizer.learning_rate=10", "fit.epochs=1"]
    none = run("tracking.keep_model=none", "study.name=none")
    best = run("tracking.keep_model=best", "study.name=s")
    second = run("tracking.keep_model=best", "study.name=s", *worse)
    every = run("tracking.keep_model=all", "study.name=s", *worse)
    assert second.value > best.value
    kept = [bool(fetch(r.run_id).outputs.model_outputs) for r in (none, best, second, every)]
    assert kept == [False, True, False, True]

    loaded = mlflow.pyfunc.load_model(f"runs:/{best.run_id}/model")
    pictures = np.zeros((3, 32, 32, 3), np.uint8)
    ages = loaded.predict(pictures)
    assert np.asarray(ages).shape == (3, 1)
    assert 0 < np.asarray(ages).mean() < 120


def test_run_of_a_dead_process_is_marked_killed_at_the_next_start(run) -> None:
    first = run()
    client = MlflowClient()
    dead = client.create_run("1", tags=fetch(first.run_id).data.tags | {"process.id": "999999999"})
    alive = client.create_run("1", tags=fetch(first.run_id).data.tags)
    client.update_run(dead.info.run_id, "RUNNING")
    client.update_run(alive.info.run_id, "RUNNING")
    client.log_metric(dead.info.run_id, "mae/val", 9.0, timestamp=int(time.time() * 1000), step=1)
    run("seed=3")
    repaired = fetch(dead.info.run_id)
    assert repaired.info.status == "KILLED"
    assert repaired.data.tags["state"] == "WAITING"
    (last,) = client.get_metric_history(dead.info.run_id, "mae/val")
    assert repaired.info.end_time == last.timestamp
    assert fetch(alive.info.run_id).info.status == "RUNNING"


def test_busy_store_delays_numbers_and_loses_none(run, monkeypatch, caplog) -> None:
    caplog.set_level(logging.ERROR)
    log_batch = MlflowClient.log_batch
    calls = []

    def busy_twice(client: MlflowClient, run_id: str, metrics=(), *rest: object, **more: object):
        if metrics:
            calls.append(1)
            if len(calls) <= 2:
                raise mlflow.exceptions.MlflowException(
                    "locked", error_code=TEMPORARILY_UNAVAILABLE
                )
        return log_batch(client, run_id, metrics, *rest, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", busy_twice)
    result = run()
    assert [step for step, _ in curve(result.run_id, "mae/val")] == [1, 2, 3, 4]
    assert len(calls) > 2


def test_first_fault_is_raised_also_when_the_store_fails_too(run, monkeypatch, capsys) -> None:
    def fail(self, *_: object, **__: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(finish, "final_metrics", lambda *_: 1 / 0)
        patched.setattr(MlflowClient, "log_text", fail)
        patched.setattr("src.training.trial_logging.log_start", lambda *_: None)
        with pytest.raises(ZeroDivisionError):
            run()
    assert "No space left" in capsys.readouterr().err
    assert run("fit.resume=false").state == "COMPLETE"


def test_moved_project_keeps_its_artifacts(run, in_tmp_path, monkeypatch) -> None:
    result = run()
    moved = in_tmp_path.parent / f"{in_tmp_path.name}_moved"
    in_tmp_path.rename(moved)
    monkeypatch.chdir(moved)
    mlflow.set_tracking_uri(None)
    assert read_artifact(result.run_id, "config.json").is_file()
