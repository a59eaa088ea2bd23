"""End of a trial: its numbers first, then its artifacts."""

from collections.abc import Callable

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from src.core.errors import UsageError
from src.stacked import group, train_stacked
from tests.integration.stored import artifacts, curve, fetch, read_artifact, same_numbers
from tests.integration.tiny_weights import save_tiny_weights

pytestmark = pytest.mark.slow

FROZEN = ["model.weights=any.weights.h5", "model.freeze=backbone", "augmentation=none"]


def fail(*_: object, **__: object) -> None:
    raise OSError("No space left on device")


@pytest.mark.parametrize("schedule", ["constant", "cosine", "warmup", "warmup_cosine"])
def test_model_is_kept_under_every_schedule(run, small_config, schedule) -> None:
    kept = [f"schedule={schedule}", "tracking.keep_model=all", "fit.epochs=2"]
    save_tiny_weights()
    stacked = train_stacked(
        [small_config(*FROZEN, *kept, f"seed={seed}", "study.name=s") for seed in (0, 1)]
    )
    for result in (run(*kept), *stacked):
        assert (result.state, result.artifact_failure) == ("COMPLETE", "")
        assert fetch(result.run_id).outputs.model_outputs


@pytest.mark.parametrize(
    ("defective", "missing"),
    [("src.training.trial_logging.inference_model", "model"),
     ("src.training.figures.learning_curve", "figures"),
     ("src.training.trial_logging.metrics_by_band", "tables")],
)  # fmt: skip
def test_failed_artifact_costs_no_number_and_the_same_command_stores_it_without_training(
    run, monkeypatch, capsys, traces, defective, missing
) -> None:
    kept = ["tracking.keep_model=all"]
    undisturbed = run(*kept, "study.name=undisturbed")
    with monkeypatch.context() as patched:
        patched.setattr(defective, fail)
        failed = run(*kept)
    assert failed.state == "COMPLETE"
    assert same_numbers(failed, undisturbed)
    stored = fetch(failed.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.tags["state"] == "COMPLETE"
    assert stored.data.tags["artifact_failure"].startswith(f"{missing}: OSError")
    assert stored.data.metrics["best/val_mae"] == undisturbed.value
    assert "Fix: the cause, then the same command again" in capsys.readouterr().err
    traces.clear()

    again = run(*kept)

    assert True not in traces  # no training step
    assert again.run_id == failed.run_id
    assert same_numbers(again, undisturbed)
    stored = fetch(again.run_id)
    assert stored.info.status == "FINISHED"
    assert "artifact_failure" not in stored.data.tags
    assert artifacts(again.run_id) - {"traceback.txt"} == artifacts(undisturbed.run_id)
    assert stored.outputs.model_outputs
    assert [step for step, _ in curve(again.run_id, "mae/val")] == [1, 2, 3, 4]
    assert run(*kept).run_id != again.run_id  # a complete trial runs in a run of its own


def test_failed_artifact_of_stacked_heads_is_stored_by_the_same_trials(
    small_config, in_tmp_path, monkeypatch
) -> None:
    save_tiny_weights()
    configs = [small_config(*FROZEN, "tracking.keep_model=all", f"seed={seed}") for seed in (0, 1)]
    with monkeypatch.context() as patched:
        patched.setattr("src.training.trial_logging.inference_model", fail)
        failed = train_stacked(configs)
    monkeypatch.setattr("src.stacked.heads.StackedHeads.train_batch", fail)
    again = train_stacked(configs)
    for one, other in zip(failed, again, strict=True):
        assert one.artifact_failure
        assert not other.artifact_failure
        assert one.run_id == other.run_id
        assert one.value == pytest.approx(other.value, abs=1e-4)
        assert fetch(other.run_id).outputs.model_outputs


def test_interrupt_while_artifacts_are_stored_still_interrupts(run, monkeypatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("src.training.figures.learning_curve", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run()
    (killed,) = MlflowClient().search_runs(["1"])
    assert killed.info.status == "KILLED"
    assert killed.data.metrics["best/val_mae"] > 0
    assert run().run_id == killed.info.run_id


def test_objective_of_the_last_epoch_keeps_its_weights_and_interval(run, run_until_epoch) -> None:
    last = ["study.objective=last/val_mae", "optimizer.learning_rate=0.05", "fit.epochs=6"]
    result = run(*last, "study.name=undisturbed")
    assert result.metrics["best/epoch"] < 6, "the last epoch is the best: choose another rate"
    assert result.value == result.metrics["last/val_mae"] == result.history.curve[-1]
    table = pd.read_parquet(read_artifact(result.run_id, "predictions/val.parquet"))
    errors = (table["prediction"] - table["age"]).abs()
    assert errors.mean() == pytest.approx(result.value, abs=1e-4)
    low, high = (result.metrics[f"last/val_mae_{end}"] for end in ("low", "high"))
    assert low < result.value < high
    assert result.metrics["best/val_mae_low"] < result.metrics["best/val_mae"]
    assert result.headline().startswith("Validation MAE of the last epoch")
    run_until_epoch(6, *last)
    assert same_numbers(run(*last), result)


def test_objective_of_the_last_epoch_holds_for_stacked_heads(run, small_config) -> None:
    save_tiny_weights()
    last = [*FROZEN, "study.objective=last/val_mae", "optimizer.learning_rate=0.5"]
    stacked = train_stacked([small_config(*last, f"seed={seed}") for seed in (0, 1)])
    for seed, result in enumerate(stacked):
        alone = run(*last, f"seed={seed}", "study.name=alone")
        assert result.value == pytest.approx(alone.value, abs=0.02)
        assert result.metrics["last/val_mae_low"] == pytest.approx(
            alone.metrics["last/val_mae_low"], abs=0.02
        )


def test_objective_that_no_trial_logs_is_refused_before_training(run) -> None:
    with pytest.raises(UsageError, match=r"it logs best/epoch, .*Fix: fit\.evaluate_test=true, or"):
        run("study.objective=test/mae")
    result = run("study.objective=test/mae", "fit.evaluate_test=true", "fit.epochs=1")
    assert result.value == result.metrics["test/mae"]
    with pytest.raises(UsageError, match=r"study\.objective=best/val_mea"):
        run("study.objective=best/val_mea")


def drawn(result: object) -> bool:
    return any(file.startswith("figures/") for file in artifacts(result.run_id))


def test_figures_are_drawn_for_all_the_best_or_no_trial(run) -> None:
    worse = ["optimizer.learning_rate=10", "fit.epochs=1"]
    assert not drawn(run("tracking.figures=none", "study.name=none"))
    results = [run("tracking.figures=best"), run("tracking.figures=best", *worse)]
    assert [drawn(result) for result in results] == [True, False]
    assert drawn(run("tracking.figures=all", *worse))


def test_large_group_draws_its_best_trial_only(
    small_config: Callable, in_tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(group, "_FEW", 1)
    save_tiny_weights()
    rates = [small_config(*FROZEN, f"optimizer.learning_rate={rate}") for rate in (1e-3, 1e-1)]
    results = train_stacked(rates)
    best = min(results, key=lambda result: result.value)
    assert [drawn(result) for result in results] == [result is best for result in results]


def test_words_of_another_target_reach_every_artifact(run) -> None:
    result = run("target={name: size, unit: mm, range: [0, 300], bands: [[0, 40], [41, 300]]}")
    assert "mm" in result.headline()
    assert "years" not in result.headline()
    files = artifacts(result.run_id)
    assert "metrics/val_by_size_band.csv" in files
    assert not [file for file in files if "age" in file.removeprefix("provenance/packages")]
    table = pd.read_parquet(read_artifact(result.run_id, "predictions/val.parquet"))
    assert list(table.columns) == ["row", "file_name", "size", "prediction"]
    bands = pd.read_csv(read_artifact(result.run_id, "metrics/val_by_size_band.csv"))
    assert set(bands["band"]) <= {"0-40", "41-300"}
