"""Many heads on one frozen backbone, trained side by side in one program."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from src.config.schema import DropoutPosition, ModelConfig, OptimizerConfig, ScheduleConfig
from src.model.dropout import Dropout, drop_where, uniform_draws
from src.model.head import build_learning_head
from src.model.initial import initialise_head
from src.model.optimizer import learning_rate

State = dict[str, np.ndarray]
"""A head's variables by name, such as `hidden_1/kernel`, `dropout/seed`, and its optimizer's by
place, such as `optimizer/0`."""

_VARYING = ("weight_decay", "beta_1", "beta_2", "epsilon")  # Keras takes arrays for these too
_NUM_ROWS = 512  # predicted at a time
_PRODUCTS = {  # by the inputs' axes: the same for all heads, for a row, for a head
    2: "bi,rcio->rcbo", 3: "rbi,rcio->rcbo", 4: "rcbi,rcio->rcbo",
}  # fmt: skip


@dataclass(frozen=True)
class Lane:
    """One head of a stack.

    Attributes:
        model: Its architecture; all heads of a stack share it but for the rate of dropout.
        optimizer: Its optimizer; all share the class, and what is no learning rate, weight decay
            or constant of Adam.
        seed: The trial's. Heads of one seed see the same faces, and draw the same random numbers
            for dropout, as they would alone.
        state: What it starts from.
    """

    model: ModelConfig
    optimizer: OptimizerConfig
    seed: int
    state: State


class StackedHeads:
    """Heads of one shape, their parameters stacked along leading axes.

    Heads with one seed and one dropout rate get the very same inputs at every step, so they lie
    in one row of a table: parameters have the shape `(rows, columns, …)`, inputs `(rows, …)`, and
    the first layer of a whole row is one matrix product. Where the table would have gaps, every
    head gets a row of its own.

    Each head has its own learning rate, weight decay and constants of Adam, and the same masks,
    initial weights and order of faces as alone. One head's numbers never reach another's: the
    loss is a sum of theirs, and optimizers work by element.

    Attributes:
        streams: The distinct seeds, in the order in which `train_batch` wants their batches.
    """

    def __init__(
        self, lanes: Sequence[Lane], schedule: ScheduleConfig, steps_per_epoch: int, epochs: int
    ) -> None:
        """Stack heads.

        Args:
            lanes: At least one; dropout is on in all of them or in none.
            schedule: Of all learning rates.
            steps_per_epoch: Batches an epoch.
            epochs: Length of the whole schedule.
        """
        self._model = lanes[0].model
        self._rows, self._columns, self._order = _table(lanes)
        placed = [lanes[place] for place in self._order]
        first_of_row = placed[:: self._columns]
        self.streams = sorted({lane.seed for lane in lanes})
        self._stream_of_row = [self.streams.index(lane.seed) for lane in first_of_row]
        self._rates = np.array([lane.model.dropout_rate for lane in first_of_row], np.float32)
        self._drops = bool(self._rates.any())
        seeds = {lane.seed: lane.state["dropout/seed"] for lane in lanes}
        self._seeds = tf.Variable(np.stack([seeds[seed] for seed in self.streams]))
        kernels = [name for name in lanes[0].state if name.endswith("/kernel")]
        self._layers = [name.removesuffix("/kernel") for name in kernels]
        self._weights = [
            keras.Variable(self._stacked([lane.state[f"{layer}/{part}"] for lane in placed]))
            for layer in self._layers
            for part in ("kernel", "bias")
        ]
        rates = self._spread([lane.optimizer.learning_rate for lane in placed])
        unit = learning_rate(1.0, schedule, steps_per_epoch, epochs)
        self._optimizer = _optimizer([lane.optimizer for lane in placed], self._spread,
                                     _Rates(rates, unit))  # fmt: skip
        self._clipnorms = _clipnorms([lane.optimizer for lane in placed], self._spread)
        self._optimizer.build(self._weights)
        self._load_optimizer([lane.state for lane in placed])
        self._loss = keras.losses.get(str(self._model.loss))
        is_map = self._model.dropout_position is DropoutPosition.before_pooling
        shape = (len(self.streams), None, *[None, None] * is_map, self._width)
        self._step: Callable[[Any, Any], Any] = tf.function(
            self._train_batch,
            autograph=False,
            input_signature=[
                tf.TensorSpec(shape, tf.float16),
                tf.TensorSpec((len(self.streams), None, 1), tf.float32),
            ],
        )
        self._forward: Callable[[Any], Any] = tf.function(
            self._apply_layers,
            autograph=False,
            input_signature=[tf.TensorSpec((None, self._width), tf.float32)],
        )

    def __len__(self) -> int:
        return len(self._order)

    def train_batch(self, activations: np.ndarray, ages: np.ndarray) -> np.ndarray:
        """One step of every head.

        Args:
            activations: A batch for each stream, float16 `(streams, b, …)`.
            ages: Years, float32 `(streams, b, 1)`.

        Returns:
            The loss of each head on its batch before the step, in the order of the lanes.
        """
        return self._in_order(self._step(activations, ages).numpy().reshape(-1))

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """Ages in years of the same faces by every head, float32 `(heads, n)`.

        Args:
            vectors: Pooled activations, float32 `(n, width)`.
        """
        parts = [
            self._forward(vectors[start : start + _NUM_ROWS]).numpy()
            for start in range(0, len(vectors), _NUM_ROWS)
        ]
        ages = np.concatenate(parts, axis=2)[..., 0]
        return self._in_order(ages.reshape(len(self), -1))

    def learning_rates(self) -> np.ndarray:
        """The latest step's, in the order of the lanes."""
        rates = keras.ops.convert_to_numpy(self._optimizer.learning_rate)
        return self._in_order(np.broadcast_to(rates, (self._rows, self._columns, 1, 1)).reshape(-1))

    def states(self) -> list[State]:
        """What each head is now, in the order of the lanes."""
        names = [f"{layer}/{part}" for layer in self._layers for part in ("kernel", "bias")]
        stacked = dict(zip(names, map(_numpy, self._weights), strict=True))
        stacked |= {
            f"optimizer/{place}": _numpy(variable)
            for place, variable in enumerate(_moments(self._optimizer))
        }
        iterations = _numpy(self._optimizer.iterations)
        seeds = self._seeds.numpy()
        states: list[State] = [{} for _ in self._order]
        for number, place in enumerate(self._order):
            row, column = divmod(number, self._columns)
            state = {name: value[row, column].copy() for name, value in stacked.items()}
            state["optimizer/iteration"] = iterations
            state["dropout/seed"] = seeds[self._stream_of_row[row]]
            states[place] = state
        return states

    @property
    def _width(self) -> int:
        return int(self._weights[0].shape[2])

    def _train_batch(self, activations: tf.Tensor, ages: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            predicted = self._apply_layers(self._inputs(tf.cast(activations, tf.float32)))
            true = tf.gather(ages, self._stream_of_row)[:, None]
            losses = tf.reduce_mean(self._loss(true, predicted), axis=-1)
            total = tf.reduce_sum(losses)
        gradients = tape.gradient(total, [weight.value for weight in self._weights])
        if self._clipnorms is not None:
            gradients = [_clipped(gradient, self._clipnorms) for gradient in gradients]
        self._optimizer.apply(gradients, self._weights)
        return losses

    def _inputs(self, activations: tf.Tensor) -> tf.Tensor:
        """What each row's first layer gets, `(rows, b, width)`: dropped and pooled."""
        is_map = len(activations.shape) == 5
        seeds = self._seeds.value()
        self._seeds.assign(seeds + tf.constant([0, 1], seeds.dtype))
        if not self._drops:
            vectors = tf.reduce_mean(activations, axis=(2, 3)) if is_map else activations
            return tf.gather(vectors, self._stream_of_row)
        draws = [
            uniform_draws(tf.shape(activations)[1:], seeds[number])
            for number in range(len(self.streams))
        ]
        rows = [
            drop_where(activations[stream], draws[stream], rate)
            for stream, rate in zip(self._stream_of_row, self._rates, strict=True)
        ]
        return tf.stack([tf.reduce_mean(row, axis=(1, 2)) if is_map else row for row in rows])

    def _apply_layers(self, inputs: tf.Tensor) -> tf.Tensor:
        """Ages in years, `(rows, columns, b, 1)`, of the same faces or of a row's, or a head's."""
        value = inputs
        for number in range(len(self._layers)):
            kernel, bias = (each.value for each in self._weights[2 * number : 2 * number + 2])
            value = tf.einsum(_PRODUCTS[len(value.shape)], value, kernel) + bias
            is_last = number == len(self._layers) - 1
            if not is_last or str(self._model.output_activation) == "relu":
                value = tf.nn.relu(value)
        return value

    def _stacked(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """`(rows, columns, in, out)`; a bias, or its moments, gets an axis of one."""
        stacked = np.stack(values)
        if stacked.ndim == 2:
            stacked = stacked[:, None]
        return stacked.reshape(self._rows, self._columns, *stacked.shape[1:])

    def _spread(self, values: Sequence[float]) -> np.ndarray:
        """A number for each head, to be multiplied with parameters."""
        return np.array(values, np.float32).reshape(self._rows, self._columns, 1, 1)

    def _in_order(self, values: np.ndarray) -> np.ndarray:
        result = np.empty_like(values)
        result[self._order] = values
        return result

    def _load_optimizer(self, states: Sequence[Mapping[str, np.ndarray]]) -> None:
        if "optimizer/iteration" not in states[0]:
            return
        self._optimizer.iterations.assign(states[0]["optimizer/iteration"])
        for place, variable in enumerate(_moments(self._optimizer)):
            variable.assign(self._stacked([state[f"optimizer/{place}"] for state in states]))


def initial_state(
    model: ModelConfig, mean_age: float, activation_shape: tuple[int, ...], seed: int
) -> State:
    """What a head starts from under a seed, as in a regressor of its own.

    Args:
        model: Its architecture.
        mean_age: See `initialise_head`.
        activation_shape: See `build_learning_head`.
        seed: The trial's.
    """
    head = build_learning_head(model, activation_shape)
    initialise_head(head.layers, model.dropout_rate, mean_age, seed)
    return weights_of(head)


def weights_of(head: keras.Model) -> State:
    """The variables of a head by the names that a stack gives them."""
    return {name: _numpy(variable) for name, variable in named_variables(head)}


def named_variables(head: keras.Model) -> list[tuple[str, keras.Variable]]:
    """The variables of a head that training changes, in Keras's order."""
    named = []
    for layer in head.layers:
        if isinstance(layer, Dropout):
            named.append(("dropout/seed", layer.seed_generator.state))
        named += [(each.path, each) for each in layer.trainable_variables]
    return named


class _Rates(keras.optimizers.schedules.LearningRateSchedule):
    """Every head's learning rate at a step: its peak times what all share."""

    def __init__(self, peaks: np.ndarray, unit: Any) -> None:
        super().__init__()
        self._peaks = peaks
        self._unit = unit

    def __call__(self, step: Any) -> Any:
        return self._peaks * (self._unit(step) if callable(self._unit) else self._unit)

    def get_config(self) -> dict[str, Any]:
        """Keras's hook; a stack is never saved as a model."""
        return {}


def _table(lanes: Sequence[Lane]) -> tuple[int, int, list[int]]:
    """Rows, columns, and which lane lies at each place, row by row."""

    def key(place: int) -> tuple[int, float]:
        return lanes[place].seed, lanes[place].model.dropout_rate

    order = sorted(range(len(lanes)), key=key)
    counts = set(Counter(map(key, order)).values())
    columns = counts.pop() if len(counts) == 1 else 1
    return len(lanes) // columns, columns, order


def _optimizer(
    optimizers: Sequence[OptimizerConfig], spread: Callable[[Sequence[float]], np.ndarray],
    rates: _Rates,
) -> keras.Optimizer:  # fmt: skip
    arguments: dict[str, Any] = dataclasses.asdict(optimizers[0])
    for name in _VARYING:
        values: list[Any] = [getattr(one, name, None) for one in optimizers]
        if len(set(values)) > 1:
            arguments[name] = spread(values)
    name = arguments.pop("name")
    arguments |= {"learning_rate": rates, "clipnorm": None}  # Keras would clip all heads as one
    return getattr(keras.optimizers, name)(**arguments)


def _clipnorms(
    optimizers: Sequence[OptimizerConfig], spread: Callable[[Sequence[float]], np.ndarray]
) -> np.ndarray | None:
    limits = [np.inf if one.clipnorm is None else one.clipnorm for one in optimizers]
    return spread(limits) if np.isfinite(limits).any() else None


def _clipped(gradient: tf.Tensor, limits: np.ndarray) -> tf.Tensor:
    """Each head's gradient of one parameter, shortened to its limit as Keras does."""
    norms = tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=(-2, -1), keepdims=True))
    return gradient * tf.minimum(1.0, limits / tf.maximum(norms, 1e-30))


def _moments(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """What the optimizer keeps for each parameter, in Keras's order."""
    return [each for each in optimizer.variables if each is not optimizer.iterations]


def _numpy(variable: keras.Variable) -> np.ndarray:
    return variable.value.numpy()
