"""Trials with stacked heads, and the same trials each alone."""

import dataclasses
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from src.core.names import State
from src.stacked import finish, group, train_stacked, training
from src.tracking.checkpoints import checkpoint_folder
from src.training import TrialResult, run_trial
from src.training.checkpoint import open_checkpoint
from tests.integration.stored import artifacts, curve, fetch, read_artifact
from tests.integration.tiny_weights import save_tiny_weights

pytestmark = pytest.mark.slow

BASE = ["model.weights=any.weights.h5", "model.freeze=backbone", "augmentation=none",
        "optimizer.learning_rate=1e-1", "fit.epochs=6"]  # fmt: skip
DIFFERENT = [
    ["model.dropout_rate=0.2", "seed=0"],
    ["model.dropout_rate=0.5", "seed=0"],
    ["model.dropout_rate=0", "seed=2", "optimizer.learning_rate=3e-1"],
    ["data.batch_size=16", "seed=1"],
    ["model.hidden_units=[4]", "seed=1", "model.output_activation=relu"],
    ["optimizer=sgd", "seed=3", "optimizer.learning_rate=1e-2"],
    ["model.dropout_rate=0.2", "optimizer.beta_1=0.5", "optimizer.weight_decay=0.01"],
]


@pytest.fixture
def configs(small_config, in_tmp_path):
    """Configurations of one group, numbered as trials."""
    save_tiny_weights()

    def numbered(*shared: str, each: list[list[str]] = DIFFERENT):
        return [
            small_config(*BASE, *shared, *one, f"study.trial={number}")
            for number, one in enumerate(each, start=1)
        ]

    return numbered


def alone(config, study: str = "alone") -> TrialResult:
    return run_trial(
        dataclasses.replace(config, study=dataclasses.replace(config.study, name=study))
    )


def predictions(result: TrialResult) -> np.ndarray:
    table = pd.read_parquet(read_artifact(result.run_id, "predictions/val.parquet"))
    return table["prediction"].to_numpy()


@pytest.mark.parametrize(
    "shared",
    [
        ["model.dropout_position=after_pooling"],
        ["model.dropout_position=before_pooling", "schedule=warmup_cosine", "model.loss=mse"],
        ["augmentation=seed", "augmentation.cached_views=2"],
    ],
    ids=" ".join,
)
def test_each_comes_to_what_it_comes_to_alone(configs, shared) -> None:
    trials = configs(*shared)
    results = train_stacked(trials)
    assert [result.state for result in results] == [State.COMPLETE] * len(trials)
    for config, result in zip(trials, results, strict=True):
        single = alone(config)
        assert result.value == pytest.approx(single.value, abs=0.02)
        assert result.metrics.keys() == single.metrics.keys()
        assert artifacts(result.run_id) == artifacts(single.run_id)
        assert predictions(result) == pytest.approx(predictions(single), abs=0.05)
        for key in ("mae/train", "mae/val", "mae/gap", "loss/train", "loss/val", "loss/running",
                    "learning_rate"):  # fmt: skip
            ours, theirs = curve(result.run_id, key), curve(single.run_id, key)
            assert [step for step, _ in ours] == [1, 2, 3, 4, 5, 6]
            assert [v for _, v in ours] == pytest.approx([v for _, v in theirs], abs=0.02), key
        stored, other = fetch(result.run_id), fetch(single.run_id)
        assert stored.info.run_name == other.info.run_name
        assert stored.info.status == "FINISHED"
        changed = {"study.name"}
        assert stored.data.params.keys() == other.data.params.keys()
        for key, value in stored.data.params.items():
            assert value == other.data.params[key] or key in changed, key
    assert not list(Path("mlruns/checkpoints").rglob("*.npy"))


def test_early_stopping_is_each_trials_own(configs) -> None:
    trials = configs("fit.early_stopping_patience=1", "fit.epochs=12")
    results = train_stacked(trials)
    lengths = [len(result.history) for result in results]
    assert lengths == [len(alone(config).history) for config in trials]
    assert len(set(lengths)) > 1


def test_diverged_trial_is_infeasible_and_leaves_the_others_alone(configs) -> None:
    each = [["seed=0"], ["optimizer.learning_rate=1e30"], ["seed=1"]]
    trials = configs("model.loss=mse", each=each)
    first, bad, last = train_stacked(trials)
    assert bad.state is State.FAILED
    assert "1e+30" in bad.infeasible
    assert fetch(bad.run_id).info.status == "FINISHED" or fetch(bad.run_id).data.tags["infeasible"]
    for config, result in ((trials[0], first), (trials[2], last)):
        assert result.value == pytest.approx(alone(config).value, abs=0.02)


def interrupt_after(monkeypatch, epoch: int) -> None:
    records, calls = training.epoch_metrics_of_many, []

    def count(*args):
        calls.append(1)
        if len(calls) == epoch + 1:
            raise KeyboardInterrupt
        return records(*args)

    monkeypatch.setattr(training, "epoch_metrics_of_many", count)


@pytest.mark.parametrize("then", ["stacked", "alone"])
def test_interrupted_trials_go_on_from_their_last_epoch(configs, monkeypatch, then) -> None:
    each = DIFFERENT[:2]
    trials = configs(each=each)
    undisturbed = [alone(config) for config in trials]
    with monkeypatch.context() as patched:
        interrupt_after(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            train_stacked(trials)
    resume = train_stacked if then == "stacked" else lambda each: list(map(run_trial, each))
    results = resume(trials)
    for result, other in zip(results, undisturbed, strict=True):
        assert result.value == pytest.approx(other.value, abs=0.02)
        assert [step for step, _ in curve(result.run_id, "mae/val")] == [1, 2, 3, 4, 5, 6]
        assert fetch(result.run_id).data.tags["state"] == "COMPLETE"


@pytest.mark.parametrize("epoch", [2, 6])
def test_trial_interrupted_alone_resumes_with_stacked_heads(
    configs, run_until_epoch, epoch
) -> None:
    trials = configs(each=DIFFERENT[:2])
    undisturbed = [alone(config) for config in trials]
    run_until_epoch(epoch, *BASE, *DIFFERENT[0], "study.trial=1")
    results = train_stacked(trials)
    for result, other in zip(results, undisturbed, strict=True):
        assert result.value == pytest.approx(other.value, abs=0.02)
        assert [step for step, _ in curve(result.run_id, "mae/val")] == [1, 2, 3, 4, 5, 6]


def test_failure_of_ours_at_the_end_of_one_spares_the_others(configs, monkeypatch) -> None:
    trials = configs(each=DIFFERENT[:3])
    finish_trial = finish.finish_trial

    def fail_for_one(trial, *rest, **options):
        if trial.config.study.trial == 2:
            raise ZeroDivisionError("a defect")
        return finish_trial(trial, *rest, **options)

    monkeypatch.setattr(finish, "finish_trial", fail_for_one)
    first, bad, last = train_stacked(trials)
    assert isinstance(bad, ZeroDivisionError)
    assert (first.state, last.state) == (State.COMPLETE, State.COMPLETE)


def test_only_the_best_model_is_kept(configs) -> None:
    each = [[f"optimizer.learning_rate={rate}"] for rate in (1e-3, 1e-1, 1e-2)]
    results = train_stacked(configs("tracking.keep_model=best", each=each))
    best = min(results, key=lambda result: result.value)
    kept = [result for result in results if fetch(result.run_id).outputs.model_outputs]
    assert kept == [best]


def test_trials_keep_no_predictions_but_their_own(configs, monkeypatch) -> None:
    end, kept = finish.finish, []

    def note(trials, *rest, **options):
        kept.extend(trial.predictions for trial in trials)
        return end(trials, *rest, **options)

    monkeypatch.setattr("src.stacked.group.finish", note)
    train_stacked(configs(each=DIFFERENT[:2]))
    assert len(kept) == 2
    for predictions in kept:
        assert predictions.keys() == {"train", "val"}
        assert all(values.ndim == 1 and values.base is None for values in predictions.values())


def test_model_that_is_kept_is_the_best_ones_with_its_own_dropout(configs) -> None:
    import keras

    each = [["model.dropout_rate=0.6", "optimizer.learning_rate=1e-9"],
            ["model.dropout_rate=0.25", "optimizer.learning_rate=1e-1"],
            ["optimizer.learning_rate=1e30"]]  # fmt: skip
    results = train_stacked(configs("tracking.keep_model=all", "model.loss=mse", each=each))
    for result, rate in zip(results[:2], (0.6, 0.25), strict=True):
        model = keras.models.load_model(model_file(result), compile=False)
        assert model.get_layer("dropout").rate == pytest.approx(rate)


def model_file(result: TrialResult) -> Path:
    folder = mlflow.artifacts.download_artifacts(f"runs:/{result.run_id}/model")
    (file,) = Path(folder).rglob("*.keras")
    return file


def test_trial_that_runs_elsewhere_fails_alone(configs) -> None:
    trials = configs(each=DIFFERENT[:3])
    digest = fetch(alone(trials[0]).run_id).data.tags["data_digest"]
    with open_checkpoint(checkpoint_folder(trials[1], digest)):
        first, taken, last = train_stacked(trials)
    assert "running this trial" in str(taken)
    assert (first.state, last.state) == (State.COMPLETE, State.COMPLETE)


def test_damaged_state_fails_its_trial_alone(configs, monkeypatch) -> None:
    trials = configs(each=DIFFERENT[:2])
    with monkeypatch.context() as patched:
        interrupt_after(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            train_stacked(trials)
    (weights, *_) = sorted(Path("mlruns/checkpoints").rglob("weights-3.npy"))
    weights.write_bytes(weights.read_bytes()[:-100])
    results = train_stacked(trials)
    assert sorted(isinstance(result, Exception) for result in results) == [False, True]


def test_without_room_they_run_one_after_the_other(configs, monkeypatch, capsys) -> None:
    from src.training import activations

    usage = activations.shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(activations.shutil, "disk_usage", lambda _: usage)
    results = train_stacked(configs(each=DIFFERENT[:2]))
    assert [result.state for result in results] == [State.COMPLETE] * 2
    assert "The activation cache is off" in " ".join(capsys.readouterr().err.split())


def test_heads_that_do_not_fit_into_memory_train_in_portions(configs, monkeypatch) -> None:
    trials = configs(each=DIFFERENT[:3])
    whole = train_stacked(trials)
    monkeypatch.setattr(group, "_MAX_BYTES", 1)
    again = train_stacked(configs("study.name=portions", each=DIFFERENT[:3]))
    for one, other in zip(whole, again, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-3)


def test_run_that_is_deleted_meanwhile_costs_its_trial_alone(configs, monkeypatch) -> None:
    records, calls = training.epoch_metrics_of_many, []

    def delete_one(*args):
        calls.append(1)
        if len(calls) == 3:
            (run,) = MlflowClient().search_runs(["1"], "tags.trial = '2'")
            MlflowClient().delete_run(run.info.run_id)
        return records(*args)

    monkeypatch.setattr(training, "epoch_metrics_of_many", delete_one)
    first, gone, last = train_stacked(
        configs("model.dropout_position=after_pooling", each=[["seed=0"], ["seed=1"], ["seed=2"]])
    )
    assert (first.state, last.state) == (State.COMPLETE, State.COMPLETE)
    assert isinstance(gone, Exception)
