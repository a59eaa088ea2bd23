"""Stacked heads on a frozen backbone, trained in one program."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from src.config import Config
from src.config.identity import declarations
from src.config.keys import Affects
from src.config.schema import DropoutPosition, OptimizerConfig
from src.model.dropout import Dropout, drop_where, uniform_draws
from src.model.initial import initialise_head
from src.model.optimizer import build_optimizer, learning_rate
from src.model.regressor import head_layers

State = dict[str, np.ndarray]
"""A head's variables by name, such as `hidden_1/kernel`, `dropout/seed`, and its optimizer's by
index, such as `optimizer/0`."""

_NUM_ROWS = 512  # of a batch of predictions


class StackedHeads:
    """Heads of one shape, their parameters stacked along a leading axis.

    Each head has its own learning rate, weight decay and constants of Adam, and the same masks,
    initial weights and order of faces as alone. Heads do not affect each other: the loss is the
    sum of their losses, and optimizers work by element. Heads with one seed and one dropout rate
    share their inputs, which are dropped and pooled once. Heads of one seed get the same faces,
    and draw the same random numbers for dropout, as they would alone.

    Attributes:
        streams: The distinct seeds, in the order in which `train_batch` takes their batches.
    """

    def __init__(
        self, configs: Sequence[Config], states: Sequence[State], steps_per_epoch: int
    ) -> None:
        """Stacks heads.

        Args:
            configs: At least one. They may differ in the seed, the rate of dropout (not in whether
                it is zero) and the optimizer's keys that are declared `PER_HEAD`.
            states: Initial state of each head.
            steps_per_epoch: Number of batches of an epoch.
        """
        first = configs[0]
        self._model = first.model
        self.streams = sorted({config.seed for config in configs})
        of_heads = [(config.seed, config.model.dropout_rate) for config in configs]
        self._distinct = sorted(set(of_heads))
        self._input_of_head = [self._distinct.index(each) for each in of_heads]
        self._stream_of_head = [self.streams.index(config.seed) for config in configs]
        self._drops = any(rate for _, rate in self._distinct)
        seeds = {
            config.seed: state["dropout/seed"]
            for config, state in zip(configs, states, strict=True)
        }
        self._seeds = tf.Variable(np.stack([seeds[seed] for seed in self.streams]))
        self._names = [name for name in states[0] if name.endswith(("/kernel", "/bias"))]
        self._weights = [
            keras.Variable(_stacked([state[name] for state in states])) for name in self._names
        ]
        optimizers = [config.optimizer for config in configs]
        rates = _spread([each.learning_rate for each in optimizers])
        unit = learning_rate(1.0, first.schedule, steps_per_epoch, first.fit.epochs)
        self._optimizer = _optimizer(optimizers, _Rates(rates, unit))
        self._clipnorms = _clipnorms(optimizers)
        self._optimizer.build(self._weights)
        if "optimizer/iteration" in states[0]:
            self._optimizer.iterations.assign(states[0]["optimizer/iteration"])
            for index, variable in enumerate(_moments(self._optimizer)):
                variable.assign(_stacked([state[f"optimizer/{index}"] for state in states]))
        self._loss = keras.losses.get(str(self._model.loss))
        is_map = self._model.dropout_position is DropoutPosition.before_pooling
        width = int(self._weights[0].shape[1])
        shape = (len(self.streams), None, *[None, None] * is_map, width)
        activations = tf.TensorSpec(shape, tf.float16)
        labels = tf.TensorSpec((len(self.streams), None, 1), tf.float32)
        vectors = tf.TensorSpec((1, None, width), tf.float32)
        self._step = tf.function(self._train_batch, [activations, labels], autograph=False)
        self._forward = tf.function(self._apply_layers, [vectors], autograph=False)

    def __len__(self) -> int:
        return len(self._stream_of_head)

    def train_batch(self, activations: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Trains each head for one step.

        Args:
            activations: A batch for each stream, float16 `(streams, b, …)`.
            labels: float32 `(streams, b, 1)`.

        Returns:
            The loss of each head on its batch before the step, in the order of the configurations.
        """
        return self._step(activations, labels).numpy()

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """Returns the predictions of each head for the same faces, float32 `(heads, n)`.

        Args:
            vectors: Pooled activations, float32 `(n, width)`.
        """
        parts = [
            self._forward(vectors[None, start : start + _NUM_ROWS]).numpy()
            for start in range(0, len(vectors), _NUM_ROWS)
        ]
        return np.concatenate(parts, axis=1)[..., 0]

    def learning_rates(self) -> np.ndarray:
        """Returns the learning rates of the latest step, by head."""
        rates = keras.ops.convert_to_numpy(self._optimizer.learning_rate)
        return np.broadcast_to(rates, (len(self), 1, 1)).reshape(-1)

    def states(self) -> list[State]:
        """Returns the state of each head."""
        stacked = dict(zip(self._names, map(_numpy, self._weights), strict=True))
        stacked |= {
            f"optimizer/{index}": _numpy(variable)
            for index, variable in enumerate(_moments(self._optimizer))
        }
        iterations = _numpy(self._optimizer.iterations)
        seeds = self._seeds.numpy()
        return [
            {
                **{name: value[head].copy() for name, value in stacked.items()},
                "optimizer/iteration": iterations,
                "dropout/seed": seeds[stream],
            }
            for head, stream in enumerate(self._stream_of_head)
        ]

    def _train_batch(self, activations: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            predicted = self._apply_layers(self._inputs(tf.cast(activations, tf.float32)))
            true = tf.gather(labels, self._stream_of_head)
            losses = tf.reduce_mean(self._loss(true, predicted), axis=-1)
            total = tf.reduce_sum(losses)
        gradients = tape.gradient(total, [weight.value for weight in self._weights])
        if self._clipnorms is not None:
            gradients = [_clipped(gradient, self._clipnorms) for gradient in gradients]
        self._optimizer.apply(gradients, self._weights)
        return losses

    def _inputs(self, activations: tf.Tensor) -> tf.Tensor:
        """Returns the inputs of each head's first layer, `(heads, b, width)`: dropped, pooled."""
        is_map = len(activations.shape) == 5
        seeds = self._seeds.value()
        self._seeds.assign(seeds + tf.constant([0, 1], seeds.dtype))
        if not self._drops:
            vectors = tf.reduce_mean(activations, axis=(2, 3)) if is_map else activations
            return tf.gather(vectors, self._stream_of_head)
        shape = tf.shape(activations)[1:]
        draws = [uniform_draws(shape, seeds[number]) for number in range(len(self.streams))]
        inputs = []
        for seed, rate in self._distinct:
            stream = self.streams.index(seed)
            dropped = drop_where(activations[stream], draws[stream], np.float32(rate))
            inputs.append(tf.reduce_mean(dropped, axis=(1, 2)) if is_map else dropped)
        return tf.gather(tf.stack(inputs), self._input_of_head)

    def _apply_layers(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns predictions `(heads, b, 1)` for inputs of each head, or of all of them."""
        value = inputs
        for kernel, bias in zip(self._weights[::2], self._weights[1::2], strict=True):
            if value is not inputs:
                value = tf.nn.relu(value)
            value = tf.matmul(value, kernel.value) + bias.value
        return tf.nn.relu(value) if str(self._model.output_activation) == "relu" else value


def initial_state(config: Config, mean_label: float, activation_shape: tuple[int, ...]) -> State:
    """Returns the initial state of a head, as in a regressor of its own.

    Args:
        config: The trial's.
        mean_label: See `initialise_head`.
        activation_shape: See `build_learning_head`.
    """
    head = build_learning_head(config, activation_shape)
    initialise_head(head.layers, config.model.dropout_rate, mean_label, config.seed)
    return weights_of(head)


def build_learning_head(config: Config, activation_shape: tuple[int, ...]) -> keras.Model:
    """Returns the model from a frozen backbone's activations to the output.

    It equals the learner of `src.model.divide`.

    Args:
        config: The trial's.
        activation_shape: Shape of a picture's activations: a feature map, or a vector if pooling
            comes before dropout and is frozen too.
    """
    layers = head_layers(config.model, config.target.output)
    first = next(index for index, layer in enumerate(layers) if isinstance(layer, Dropout))
    activations = keras.Input(activation_shape, name="activations")
    value = activations
    for layer in layers[first:]:
        value = layer(value)
    return keras.Model(activations, value, name="learner")


def weights_of(head: keras.Model) -> State:
    """Returns the values of a head's variables by the names that a stack gives them."""
    return {name: _numpy(variable) for name, variable in named_variables(head)}


def named_variables(head: keras.Model) -> list[tuple[str, keras.Variable]]:
    """Returns the variables of a head that training changes, in Keras's order."""
    named = []
    for layer in head.layers:
        if isinstance(layer, Dropout):
            named.append(("dropout/seed", layer.seed_generator.state))
        named += [(each.path, each) for each in layer.trainable_variables]
    return named


class _Rates(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate of each head at a step: its peak times the common schedule.

    It has no `get_config`: a stack is never saved as a model.
    """

    def __init__(self, peaks: np.ndarray, unit: Any) -> None:
        super().__init__()
        self._peaks = peaks
        self._unit = unit

    def __call__(self, step: Any) -> Any:
        return self._peaks * (self._unit(step) if callable(self._unit) else self._unit)


def _stacked(values: Sequence[np.ndarray]) -> np.ndarray:
    """Returns `(heads, in, out)`; a bias, or its moments, gets an axis of one."""
    stacked = np.stack(values)
    return stacked[:, None] if stacked.ndim == 2 else stacked


def _spread(values: Sequence[float]) -> np.ndarray:
    """Returns a number for each head, in a shape that multiplies parameters."""
    return np.array(values, np.float32)[:, None, None]


def _optimizer(optimizers: Sequence[OptimizerConfig], rates: _Rates) -> keras.Optimizer:
    """Returns one optimizer; Keras takes arrays for the arguments that may differ by head."""
    changes: dict[str, Any] = {}
    for key, its in declarations(optimizers[0].name).items():
        group, _, name = key.rpartition(".")
        if group == "optimizer" and Affects.PER_HEAD in its.affects:
            values: list[Any] = [getattr(one, name) for one in optimizers]
            if len(set(values)) > 1:
                changes[name] = _spread(values)
    changes["clipnorm"] = None  # Keras would clip all heads as one
    return build_optimizer(dataclasses.replace(optimizers[0], **changes), rates)


def _clipnorms(optimizers: Sequence[OptimizerConfig]) -> np.ndarray | None:
    limits = [np.inf if one.clipnorm is None else one.clipnorm for one in optimizers]
    return _spread(limits) if np.isfinite(limits).any() else None


def _clipped(gradient: tf.Tensor, limits: np.ndarray) -> tf.Tensor:
    """Clips each head's gradient of one parameter to its limit, as Keras does."""
    norms = tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=(-2, -1), keepdims=True))
    return gradient * tf.minimum(1.0, limits / tf.maximum(norms, 1e-30))


def _moments(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """Returns the optimizer's variables of each parameter, in Keras's order."""
    return [each for each in optimizer.variables if each is not optimizer.iterations]


def _numpy(variable: keras.Variable) -> np.ndarray:
    return variable.value.numpy()
