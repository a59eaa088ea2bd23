"""Dropout with a variable rate, which can change without a new trace."""

from typing import Any

import keras


class Dropout(keras.layers.Layer):
    """Keras's dropout, with the rate in a variable: a traced step takes another rate.

    Its masks are uniform float32 draws that are at least the rate, as Keras's own on TensorFlow.
    A stored model has Keras's layer in its place, see `inference_model`.
    """

    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator()
        self.rate = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(rate), dtype="float32",
            trainable=False, autocast=False, name="rate",
        )  # fmt: skip

    def call(self, inputs: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Drops values in training; a rate of 0 costs no time."""
        if not training:
            return inputs
        seed = self.seed_generator.next()
        return keras.ops.cond(self.rate > 0, lambda: drop(inputs, self.rate, seed), lambda: inputs)


def drop(inputs: keras.KerasTensor, rate: keras.KerasTensor, seed: Any) -> keras.KerasTensor:
    """Sets a share of the values to zero and scales the others, so that the mean stays.

    Args:
        inputs: Any shape.
        rate: Share of dropped values, [0, 1), float32.
        seed: Two integers, as `keras.random` takes them.
    """
    return drop_where(inputs, uniform_draws(keras.ops.shape(inputs), seed), rate)


def uniform_draws(shape: Any, seed: Any) -> keras.KerasTensor:
    """Returns the draws that select the dropped values, float32 in [0, 1)."""
    return keras.random.uniform(shape, seed=_DrawnSeed(seed), dtype="float32")


def drop_where(inputs: keras.KerasTensor, draws: keras.KerasTensor, rate: Any) -> keras.KerasTensor:
    """Drops as `drop` does, given the draws: values whose draw is below the rate."""
    factor = keras.ops.where(draws >= rate, 1 / (1 - rate), 0.0)
    return inputs * keras.ops.cast(factor, inputs.dtype)


class _DrawnSeed(keras.random.SeedGenerator):
    """A seed that was drawn before: JAX draws none within a condition."""

    def __init__(self, seed: Any) -> None:
        self._seed = seed

    def next(self, ordered: bool = True) -> Any:
        """Returns the seed."""
        return self._seed
