"""Stacked heads, against the same heads each as a Keras model of its own."""

import dataclasses

import keras
import numpy as np
import pytest

from src.config import Config
from src.config.schema import DropoutPosition
from src.model.initial import initialise_head
from src.model.optimizer import build_optimizer, learning_rate
from src.stacked.heads import (
    StackedHeads,
    build_learning_head,
    initial_state,
    named_variables,
)

pytestmark = pytest.mark.slow

MEAN_AGE = 30.0
WIDTH, EDGE = 12, 3
STEPS, EPOCHS = 5, 3


def shape(config: Config) -> tuple[int, ...]:
    before = config.model.dropout_position is DropoutPosition.before_pooling
    return (EDGE, EDGE, WIDTH) if before else (WIDTH,)


def batch(config: Config, step: int, size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([config.seed, step])
    activations = rng.gamma(1, 1, (size, *shape(config))).astype(np.float16)
    return activations, rng.uniform(1, 90, (size, 1)).astype(np.float32)


class Alone:
    """A head as a Keras model, compiled and stepped as a trial does."""

    def __init__(self, config: Config) -> None:
        self.head = build_learning_head(config, shape(config))
        initialise_head(self.head.layers, config.model.dropout_rate, MEAN_AGE, config.seed)
        rate = learning_rate(config.optimizer.learning_rate, config.schedule, STEPS, EPOCHS)
        optimizer = build_optimizer(config.optimizer, rate)
        self.head.compile(optimizer, loss=str(config.model.loss))
        self.losses = []

    def train(self, config: Config, num_steps: int) -> None:
        for step in range(num_steps):
            self.head.reset_metrics()
            size = 8 if step % STEPS < STEPS - 1 else 3  # the last batch is smaller
            self.losses.append(float(self.head.train_on_batch(*batch(config, step, size))))


def stack(configs: list[Config]) -> StackedHeads:
    states = [initial_state(config, MEAN_AGE, shape(config)) for config in configs]
    return StackedHeads(configs, states, STEPS)


def train(heads: StackedHeads, configs: list[Config], num_steps: int) -> np.ndarray:
    by_seed = {config.seed: config for config in configs}
    losses = []
    for step in range(num_steps):
        size = 8 if step % STEPS < STEPS - 1 else 3
        batches = [batch(by_seed[seed], step, size) for seed in heads.streams]
        losses.append(heads.train_batch(*map(np.stack, zip(*batches, strict=True))))
    return np.array(losses)


@pytest.fixture
def configs(compose_config, tmp_path):
    """Configurations of frozen trials from lists of overrides."""
    weights = tmp_path / "any.weights.h5"
    weights.write_bytes(b"")

    def composed(shared: list[str], *each: list[str]) -> list[Config]:
        base = [
            f"model.weights={weights}",
            "model.freeze=backbone",
            "optimizer.learning_rate=1e-2",
            f"fit.epochs={EPOCHS}",
        ]
        return [compose_config(*base, *shared, *one) for one in each]

    return composed


GRID = [
    [f"optimizer.learning_rate={rate}", f"model.dropout_rate={dropout}", f"seed={seed}"]
    for seed in (0, 5) for dropout in (0.2, 0.5) for rate in (1e-3, 3e-2)
]  # fmt: skip
RAGGED = [
    ["model.dropout_rate=0.31", "seed=3"], ["model.dropout_rate=0.1", "seed=1"],
    ["model.dropout_rate=0", "seed=3"], ["model.dropout_rate=0.1", "seed=0"],
    ["model.dropout_rate=0.1", "seed=0", "optimizer.learning_rate=1e-4"],
]  # fmt: skip


@pytest.mark.parametrize(
    ("each", "shared"),
    [
        (GRID, ["model.dropout_position=before_pooling"]),
        (RAGGED, ["model.dropout_position=before_pooling"]),
        (GRID, ["model.dropout_position=after_pooling", "model.hidden_units=[6,4]"]),
        (RAGGED, ["model.dropout_position=after_pooling", "model.loss=huber",
                  "model.output_activation=relu", "schedule=warmup_cosine"]),
        (RAGGED, ["model.loss=mse", "optimizer=sgd", "optimizer.learning_rate=1e-3"]),
        (GRID, ["optimizer=adamw", "schedule=cosine", "model.hidden_units=[1]"]),
    ],
)  # fmt: skip
def test_stacked_heads_have_the_results_of_single_heads(configs, shared, each) -> None:
    if "optimizer=sgd" in shared:
        each = [[word for word in one if "learning_rate" not in word] for one in each]
    trials = configs(shared, *each)
    heads = stack(trials)
    losses = train(heads, trials, STEPS * EPOCHS)
    vectors = np.random.default_rng(9).gamma(1, 1, (20, WIDTH)).astype(np.float32)
    ages = heads.predict(vectors)
    is_map = len(shape(trials[0])) == 3
    pooled = np.tile(vectors[:, None, None], (1, EDGE, EDGE, 1)) if is_map else vectors
    states = heads.states()
    for number, trial in enumerate(trials):
        alone = Alone(trial)
        alone.train(trial, STEPS * EPOCHS)
        assert losses[:, number] == pytest.approx(alone.losses, rel=1e-4, abs=1e-4)
        assert ages[number] == pytest.approx(alone.head.predict_on_batch(pooled)[:, 0], abs=2e-3)
        for name, variable in named_variables(alone.head):
            ours = states[number][name].reshape(variable.shape)
            assert ours == pytest.approx(keras.ops.convert_to_numpy(variable), abs=1e-4), name


def test_gradients_equal_those_of_heads_alone(configs) -> None:
    """With plain SGD and a rate of 1, a step is minus the gradient."""
    shared = ["optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false",
              "optimizer.clipnorm=null", "optimizer.learning_rate=1", "model.hidden_units=[6]",
              "optimizer.weight_decay=null"]  # fmt: skip
    each = [
        [f"model.dropout_rate={rate}", f"seed={seed}"] for rate in (0.2, 0.5) for seed in (0, 1)
    ]
    trials = configs(shared, *each)
    heads = stack(trials)
    before = heads.states()
    train(heads, trials, 1)
    after = heads.states()
    for number, trial in enumerate(trials):
        alone = Alone(trial)
        first = [keras.ops.convert_to_numpy(v).copy() for _, v in named_variables(alone.head)]
        alone.train(trial, 1)
        for (name, variable), value in zip(named_variables(alone.head), first, strict=True):
            theirs = value.astype(np.float64) - keras.ops.convert_to_numpy(variable)
            ours = before[number][name].astype(np.float64) - after[number][name]
            assert ours.reshape(theirs.shape) == pytest.approx(theirs, abs=1e-5), name


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_each_head_has_its_own_optimizer_constants(configs, optimizer) -> None:
    each = [
        ["optimizer.weight_decay=0.3", "optimizer.beta_1=0.5"],
        ["optimizer.weight_decay=0.01", "optimizer.beta_2=0.9"],
        ["optimizer.weight_decay=0.1", "optimizer.epsilon=0.1", "optimizer.clipnorm=0.01"],
    ]
    trials = configs([f"optimizer={optimizer}"], *each)
    heads = stack(trials)
    train(heads, trials, 4)
    for number, trial in enumerate(trials):
        alone = Alone(trial)
        alone.train(trial, 4)
        for name, variable in named_variables(alone.head):
            ours = heads.states()[number][name].reshape(variable.shape)
            assert ours == pytest.approx(keras.ops.convert_to_numpy(variable), abs=1e-5), name


def test_one_head_that_diverges_leaves_the_others_alone(configs) -> None:
    each = [["optimizer.learning_rate=1e-2"], ["optimizer.learning_rate=1e30"],
            ["optimizer.learning_rate=2e-2"]]  # fmt: skip
    trials = configs(["model.loss=mse"], *each)
    losses = train(stack(trials), trials, 6)
    assert not np.isfinite(losses[-1, 1])
    calm = train(stack(trials[::2]), trials[::2], 6)
    assert losses[:, [0, 2]] == pytest.approx(calm, rel=1e-5)


def test_states_put_back_go_on_as_if_never_stopped(configs) -> None:
    trials = configs(["schedule=cosine"], *GRID[:4])
    heads = stack(trials)
    train(heads, trials, 3)
    states = heads.states()
    again = StackedHeads(trials, states, STEPS)
    assert np.array_equal(train(again, trials, 4), train(heads, trials, 4))
    reordered = StackedHeads(trials[::-1], states[::-1], STEPS)
    for one, other in zip(reordered.states(), states[::-1], strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_learning_rates_are_each_heads_own(configs) -> None:
    trials = configs([], *RAGGED)
    heads = stack(trials)
    rates = [trial.optimizer.learning_rate for trial in trials]
    assert heads.learning_rates() == pytest.approx(rates)
    assert dataclasses.asdict(trials[0].optimizer)["learning_rate"] == 1e-2
