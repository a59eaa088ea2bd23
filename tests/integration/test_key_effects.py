"""Declared effects of each key, compared with the effects of changing it in a small trial."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from src.config import Config, activation_values, program
from src.config.identity import declarations, pixel_values
from src.config.keys import NUMBERS, Affects
from src.config.schema import Backbone
from src.data import prepare
from src.model.backbone import build_backbone
from src.training.program import forget_kept_model
from src.training.trial import start_model

pytestmark = pytest.mark.slow

BASE = ["model.backbone=tiny", "model.weights=w.weights.h5", "model.freeze=conv2",
        "data.num_images=40", "data.image_size=32", "data.batch_size=8", "fit.epochs=2",
        "data.limit=36", "data.max_pixels=60000", "fit.train_eval_limit=20",
        "augmentation=standard", "augmentation.cached_views=2", "model.dropout_rate=0.2",
        "model.hidden_units=[4]", "schedule=warmup_cosine"]  # fmt: skip
CHANGES = {
    "data.num_images": ["data.num_images=44"],
    "data.image_size": ["data.image_size=40"],
    "data.batch_size": ["data.batch_size=4"],
    "data.limit": ["data.limit=30"],
    "data.decoder": ["data.decoder=pillow"],
    "data.cache_dir": ["data.cache_dir=other"],
    "data.split.method": ["data.split.method=notebook", "data.split.test_fraction=0"],
    "data.split.val_fraction": ["data.split.val_fraction=0.3"],
    "data.split.test_fraction": ["data.split.test_fraction=0.3"],
    "data.split.seed": ["data.split.seed=1"],
    "model.backbone": ["model.backbone=resnet50", "model.weights=null", "model.freeze=none"],
    "model.weights": ["model.weights=other.weights.h5"],
    "model.input_mode": ["model.input_mode=unit"],
    "model.freeze": ["model.freeze=conv3"],
    "model.freeze_batch_norm": ["model.freeze_batch_norm=true"],
    "model.batch_norm_momentum": ["model.batch_norm_momentum=0.5"],
    "model.dropout_rate": ["model.dropout_rate=0.4"],
    "model.dropout_position": ["model.dropout_position=after_pooling"],
    "model.hidden_units": ["model.hidden_units=[6]"],
    "model.loss": ["model.loss=mse"],
    "optimizer.name": ["optimizer=sgd"],
    "optimizer.learning_rate": ["optimizer.learning_rate=3e-4"],
    "optimizer.clipnorm": ["optimizer.clipnorm=0.01"],
    "optimizer.beta_1": ["optimizer.beta_1=0.5"],
    "optimizer.beta_2": ["optimizer.beta_2=0.5"],
    "optimizer.epsilon": ["optimizer.epsilon=0.1"],
    "optimizer.weight_decay": ["optimizer.weight_decay=0.5"],
    "schedule.warmup_epochs": ["schedule.warmup_epochs=0.25"],
    "schedule.final_fraction": ["schedule.final_fraction=0.5"],
    "augmentation.horizontal_flip": ["augmentation.horizontal_flip=false"],
    "augmentation.vertical_flip": ["augmentation.vertical_flip=true"],
    "augmentation.rotation_degrees": ["augmentation.rotation_degrees=40"],
    "augmentation.shift_fraction": ["augmentation.shift_fraction=0.3"],
    "augmentation.zoom_fraction": ["augmentation.zoom_fraction=0.3"],
    "augmentation.brightness": ["augmentation.brightness=0.5"],
    "augmentation.contrast": ["augmentation.contrast=0.5"],
    "augmentation.cached_views": ["augmentation.cached_views=3"],
    "fit.epochs": ["fit.epochs=4"],
    "fit.precision": ["fit.precision=mixed_bfloat16"],
    "fit.train_eval_limit": ["fit.train_eval_limit=10"],
    "fit.cache_activations": ["fit.cache_activations=false"],
    "fit.eval_batch_size": ["fit.eval_batch_size=16"],
    "fit.keep_state": ["fit.keep_state=true"],
    "fit.resume": ["fit.resume=false"],
    "fit.evaluate_test": ["fit.evaluate_test=true"],
    "pruner.name": ["pruner=asha"],
    "pruner.warmup_epochs": ["pruner.warmup_epochs=2"],
    "pruner.min_trials": ["pruner.min_trials=9"],
    "pruner.reduction_factor": ["pruner.reduction_factor=5"],
    "target.name": ["target.name=size"],
    "target.unit": ["target.unit=mm"],
    "target.bands": ["target.bands=[[0,50],[51,120]]"],
    "study.name": ["study.name=other"],
    "study.question": ["study.question=why"],
    "study.direction": ["study.direction=maximize"],
    "study.trial": ["study.trial=4"],
    "study.run_id": ["study.run_id=abc"],
    "tracking.experiment": ["tracking.experiment=other"],
    "tracking.keep_model": ["tracking.keep_model=all"],
    "tracking.figures": ["tracking.figures=none"],
    "tracking.system_metrics": ["tracking.system_metrics=true"],
    "seed": ["seed=1"],
}
UNSEEN = {
    # Declared to change numbers; they do so on other data, or after other steps, than here.
    "data.layout", "data.conflicting_duplicates", "data.max_bad_fraction", "data.max_pixels",
    "fit.deterministic", "fit.jit_compile", "model.output_activation",
    "fit.early_stopping_patience", "fit.fidelity", "study.objective", "target.range",
    # Where the faces are: another folder's table is another data set.
    "data.root", "data.labels_file", "data.image_dir", "data.columns.file_name",
    "data.columns.age", "data.columns.split",
    # Not set on the command line, or a table of results elsewhere.
    "study.claims", "study.reference",
    # Of an optimizer that is not the base's.
    "optimizer.momentum", "optimizer.nesterov",
}  # fmt: skip


@dataclass(frozen=True)
class Observed:
    """Observations of a few steps of a trial.

    Attributes:
        pixels: Digest of the decoded pictures.
        frozen: Activations of one grey picture at the end of the frozen layers.
        views: Digest of the first augmented batch.
        numbers: Predictions after the steps, for the measured faces.
        num_steps: Steps an epoch.
    """

    pixels: str
    frozen: np.ndarray
    views: str
    numbers: np.ndarray
    num_steps: int


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def observe(config: Config) -> Observed:
    """Trains two epochs without a tracking store."""
    dataset = prepare(config.data, config.target)
    started, inputs = start_model(config, dataset)
    batches = inputs.batches
    first_views = _digest(np.asarray(batches.batch(0, 0)[0]))
    for epoch in range(2):
        for number in range(len(batches)):
            started.fitted.train_on_batch(*batches.batch(epoch, number))
    measured = inputs.measure(started.fitted, config.fit.eval_batch_size)
    numbers = np.concatenate([each.predictions for each in measured.values()])
    train = dataset.part("train")
    pixels = np.asarray(train.inputs(np.arange(len(train))))
    frozen = np.zeros(1)
    if started.frozen is not None:
        grey = np.full((1, *pixels.shape[1:]), 99, np.uint8)
        frozen = np.asarray(started.frozen.predict_on_batch(grey))
    return Observed(_digest(pixels), frozen, first_views, numbers, len(batches))


@pytest.fixture(scope="module")
def compose(compose_config, tmp_path_factory) -> Callable[..., Config]:
    folder = tmp_path_factory.mktemp("effects")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        for seed, name in enumerate(("w", "other")):
            keras.utils.set_random_seed(seed)
            build_backbone(Backbone.tiny, 32).save_weights(f"{name}.weights.h5")
        yield lambda *changes: compose_config(*BASE, *changes)


@pytest.fixture(scope="module")
def base(compose) -> tuple[Config, Observed]:
    config = compose()
    forget_kept_model()
    return config, observe(config)


def _same(one: np.ndarray, other: np.ndarray, tolerance: float = 0.0) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=0, atol=tolerance)


def test_every_key_is_declared_and_tried() -> None:
    assert set(CHANGES) | UNSEEN == set(declarations("Adam")) | set(declarations("SGD"))
    assert not set(CHANGES) & UNSEEN


@pytest.mark.parametrize("key", CHANGES)
def test_declared_effect_is_the_observed_one(key: str, compose, base) -> None:
    config, before = base
    changed = compose(*CHANGES[key])
    affects = declarations(changed.optimizer.name)[key].affects
    is_live = Affects.LIVE in affects
    if is_live:  # the program of the base is to take the value as a variable
        observe(config)
    after = observe(changed)

    # Rounding of cached activations to float16 is the one difference that is allowed.
    tolerance = 0.05 if key == "fit.cache_activations" else 0.0
    if not affects & NUMBERS:
        assert _same(before.numbers, after.numbers, tolerance), "an undeclared change of numbers"
    else:
        assert not _same(before.numbers, after.numbers), "no change of numbers was seen"
    if not affects & (Affects.PIXELS | Affects.FACES):
        assert before.pixels == after.pixels
        assert pixel_values(config.data) == pixel_values(changed.data)
    if not affects & (Affects.PIXELS | Affects.BACKBONE):
        assert _same(before.frozen, after.frozen)
        assert activation_values(config, is_view=False) == activation_values(changed, is_view=False)
    if not affects & (NUMBERS & ~Affects.HEAD & ~Affects.STEP & ~Affects.LENGTH):
        assert before.views == after.views or key == "seed" or tolerance
    if not affects & (Affects.FACES | Affects.BATCHES):
        assert before.num_steps == after.num_steps
    if is_live:
        assert program(config) == program(changed)
        forget_kept_model()
        assert _same(after.numbers, observe(changed).numbers), "a warm process differs"
