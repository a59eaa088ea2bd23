"""Trials whose frozen layers are computed once, and the same trials without that."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from src.config.schema import DataConfig
from src.data import cache
from src.data.decoding import decode
from src.training import activations
from src.training.program import forget_kept_model
from tests.integration.stored import curve, read_artifact, same_numbers
from tests.integration.tiny_weights import save_tiny_weights

pytestmark = pytest.mark.slow

CACHE = Path(".cache/activations")


@pytest.fixture
def run_frozen(run, in_tmp_path):
    """Run a small trial with frozen layers."""
    save_tiny_weights()

    def run_one(*overrides: str):
        base = ["model.weights=any.weights.h5", "model.freeze=conv1", "augmentation=none"]
        return run(*base, *overrides)

    return run_one


def count_frozen_batches(monkeypatch) -> list[int]:
    """Entries for every batch that the frozen layers compute for the cache."""
    calls: list[int] = []
    predict = activations.predict

    def counted(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
        calls.append(1)
        return predict(model, inputs)

    monkeypatch.setattr(activations, "predict", counted)
    return calls


def predictions(result, part: str) -> np.ndarray:
    table = pd.read_parquet(read_artifact(result.run_id, f"predictions/{part}.parquet"))
    return table["prediction"].to_numpy()


@pytest.mark.parametrize("freeze", ["conv1", "backbone"])
@pytest.mark.parametrize("position", ["before_pooling", "after_pooling"])
@pytest.mark.parametrize(
    "augmentation", ["augmentation=none", "augmentation=seed augmentation.cached_views=3"]
)
def test_cached_trial_equals_the_one_that_computes_at_every_step(
    run_frozen, freeze, position, augmentation
) -> None:
    shape = [f"model.freeze={freeze}", f"model.dropout_position={position}",
             *augmentation.split(), "optimizer.learning_rate=1e-3"]  # fmt: skip
    cached = run_frozen(*shape, "study.name=cached")
    assert list(CACHE.glob("*/*.npy"))
    plain = run_frozen(*shape, "study.name=plain", "fit.cache_activations=false")
    assert cached.value == pytest.approx(plain.value, abs=0.02)
    for part in ("train", "val"):
        assert predictions(cached, part) == pytest.approx(predictions(plain, part), abs=0.05)
    ours, theirs = (np.array([e["mae/train"] for e in r.history.epochs]) for r in (cached, plain))
    assert ours == pytest.approx(theirs, abs=0.02)


def test_second_trial_computes_nothing_also_with_other_settings(run_frozen, monkeypatch) -> None:
    calls = count_frozen_batches(monkeypatch)
    run_frozen()
    num_calls = len(calls)
    assert num_calls > 0
    run_frozen("data.batch_size=16", "seed=4", "model.dropout_rate=0.5", "model.hidden_units=[3]")
    assert len(calls) == num_calls


@pytest.mark.parametrize(
    "change",
    ["data.image_size=40", "model.input_mode=imagenet", "model.freeze=backbone",
     "data.decoder=pillow", "data.num_images=61", "data.split.seed=1"],
)  # fmt: skip
def test_change_of_an_activation_computes_it_again(run_frozen, monkeypatch, change) -> None:
    run_frozen()
    calls = count_frozen_batches(monkeypatch)
    run_frozen(change)
    assert calls


def inverted(content: bytes, data: DataConfig) -> np.ndarray:
    return 255 - decode(content, data)


def test_changed_decoder_under_a_new_recipe_gives_other_numbers(run_frozen, monkeypatch) -> None:
    stale = run_frozen("model.freeze=backbone")
    monkeypatch.setattr(cache, "decode", inverted)
    monkeypatch.setattr(cache, "_RECIPE", cache._RECIPE + 1)
    fresh = run_frozen("model.freeze=backbone", "study.name=fresh")
    plain = run_frozen("model.freeze=backbone", "study.name=plain", "fit.cache_activations=false")
    assert fresh.value != stale.value
    assert fresh.value == pytest.approx(plain.value, abs=0.02)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("src.data.cache.library_versions", lambda _: "another version"),
        ("src.data.augmentation.VERSION", "another version"),
    ],
)
def test_other_versions_of_libraries_and_augmentation_are_other_activations(
    run_frozen, monkeypatch, name, value
) -> None:
    views = ["augmentation=seed", "augmentation.cached_views=1"]
    run_frozen(*views)
    calls = count_frozen_batches(monkeypatch)
    monkeypatch.setattr(name, value)
    run_frozen(*views, "study.name=other")
    assert calls


def test_other_weights_are_other_activations(run_frozen, monkeypatch) -> None:
    run_frozen()
    calls = count_frozen_batches(monkeypatch)
    save_tiny_weights(seed=1)
    run_frozen("study.name=other")
    assert calls


def test_views_are_shared_between_seeds(run_frozen, monkeypatch) -> None:
    views = ["augmentation=seed", "augmentation.cached_views=2"]
    first = run_frozen(*views)
    calls = count_frozen_batches(monkeypatch)
    second = run_frozen(*views, "seed=1")
    assert not calls
    assert not same_numbers(first, second)
    views = [json.loads(file.read_text())["view"] for file in CACHE.glob("*/about.json")]
    assert sorted(map(str, views)) == ["0", "1", "None", "None"]


def test_augmentation_without_views_switches_it_off_and_says_so(run_frozen, capsys) -> None:
    run_frozen("augmentation=seed")
    assert not CACHE.exists()
    assert "To use it: augmentation.cached_views=8" in capsys.readouterr().err


def test_full_disk_switches_it_off_and_says_so(run_frozen, monkeypatch, capsys) -> None:
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(activations.shutil, "disk_usage", lambda _: usage)
    run_frozen()
    assert not list(CACHE.glob("*/*.npy"))
    message = " ".join(capsys.readouterr().err.split())
    assert "are free. To use it: data.cache_dir=<another folder>" in message


def test_too_large_an_activation_switches_it_off_and_says_so(
    run_frozen, monkeypatch, capsys
) -> None:
    monkeypatch.setattr("src.data.shards._converted", lambda values: _refuse(values))
    plain = run_frozen()
    assert "an activation is no float16" in capsys.readouterr().err
    monkeypatch.undo()
    forget_kept_model()
    assert plain.state == "COMPLETE"


def _refuse(values: np.ndarray) -> np.ndarray:
    from src.data.shards import NotFloat16Error

    raise NotFloat16Error(f"the largest is {values.max()}")


def test_size_is_printed_before_anything_is_computed(run_frozen, capsys) -> None:
    run_frozen()
    message = " ".join(capsys.readouterr().err.split())
    assert "frozen layers (conv1) for 48 pictures, once for all trials: 0 MB in" in message
    run_frozen("seed=1")
    assert "once for all trials" not in capsys.readouterr().err


@pytest.mark.parametrize("first", ["true", "false"])
def test_interrupted_trial_can_go_on_without_the_cache_and_with_it(
    run_frozen, run_until_epoch, first
) -> None:
    base = ["model.weights=any.weights.h5", "model.freeze=conv1", "augmentation=none"]
    undisturbed = run_frozen("study.name=undisturbed")
    run_until_epoch(2, *base, f"fit.cache_activations={first}")
    then = "false" if first == "true" else "true"
    resumed = run_frozen(f"fit.cache_activations={then}")
    assert resumed.value == pytest.approx(undisturbed.value, abs=0.02)
    assert [step for step, _ in curve(resumed.run_id, "mae/val")] == [1, 2, 3, 4]


def test_model_of_a_cached_trial_takes_pictures(run_frozen) -> None:
    import mlflow

    result = run_frozen("tracking.keep_model=all")
    loaded = mlflow.pyfunc.load_model(f"runs:/{result.run_id}/model")
    predicted = np.asarray(loaded.predict(np.zeros((2, 32, 32, 3), np.uint8)))
    assert predicted.shape == (2, 1)


def test_test_part_is_measured_on_pictures(run_frozen) -> None:
    result = run_frozen("fit.evaluate_test=true")
    assert result.metrics["test/mae"] > 0
