"""Dropout whose rate can change without a new trace."""

from typing import Any

import keras


class Dropout(keras.layers.Layer):
    """Keras's dropout, with the rate in a variable: a traced step takes another one as it is.

    Its masks are uniform float32 draws that are at least the rate, as Keras's own on TensorFlow.
    For a model that leaves the process, see `inference_model`: it has Keras's layer in this one's
    place, so that nobody needs this class to load it.
    """

    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator()
        self.rate = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(rate), dtype="float32",
            trainable=False, autocast=False, name="rate",
        )  # fmt: skip

    def call(self, inputs: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Drop while training; a rate of 0 costs nothing."""
        if not training:
            return inputs
        seed = self.seed_generator.next()
        return keras.ops.cond(self.rate > 0, lambda: drop(inputs, self.rate, seed), lambda: inputs)


def drop(inputs: keras.KerasTensor, rate: keras.KerasTensor, seed: Any) -> keras.KerasTensor:
    """Set a share of the values to zero and enlarge the others, so that the mean stays.

    Args:
        inputs: Any shape.
        rate: Share that is dropped, [0, 1), float32.
        seed: Two integers, as `keras.random` takes them.
    """
    return drop_where(inputs, uniform_draws(keras.ops.shape(inputs), seed), rate)


def uniform_draws(shape: Any, seed: Any) -> keras.KerasTensor:
    """What decides which values are dropped, float32 in [0, 1)."""
    return keras.random.uniform(shape, seed=_DrawnSeed(seed), dtype="float32")


def drop_where(inputs: keras.KerasTensor, draws: keras.KerasTensor, rate: Any) -> keras.KerasTensor:
    """As `drop`, given the draws: values whose draw is below the rate go."""
    factor = keras.ops.where(draws >= rate, 1 / (1 - rate), 0.0)
    return inputs * keras.ops.cast(factor, inputs.dtype)


class _DrawnSeed(keras.random.SeedGenerator):
    """A seed that was drawn before: within a condition, JAX lets nobody draw one."""

    def __init__(self, seed: Any) -> None:
        self._seed = seed

    def next(self, ordered: bool = True) -> Any:
        """The seed."""
        return self._seed
