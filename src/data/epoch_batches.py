"""Batches of one epoch after another, as `fit` reads them."""

import weakref
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

NUM_READERS = 2  # threads; batches that they are ahead of the step


class Batches(Protocol):
    """Any batch of any epoch, by its number."""

    def __len__(self) -> int:
        """Batches an epoch."""

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and ages of a batch of an epoch, both from 0."""


class EpochBatches:
    """Prefetched by two threads beside the step.

    Attributes:
        epoch: From 0; to be set before each epoch.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._batches)

    def dataset(self) -> "tf.data.Dataset":
        """The batches of one epoch, in order, for `fit`; good for as long as this object lives.

        A Keras `PyDataset` with two workers gets 6,500 mirrored pictures of 224 px a second into
        the step, and waits 0.1 s after each epoch for batches that it knows will not come; this
        gets 12,000 (2 cores). TensorFlow's autotuning is off, because its thread now and then
        sleeps on when an iterator is closed: epochs of 10 s took 18, at random (TensorFlow 2.21).
        """
        import tensorflow as tf  # Keras may run on another backend

        specs = [
            tf.TensorSpec((None, *array.shape[1:]), array.dtype)
            for array in self._batches.batch(0, 0)
        ]

        this = weakref.proxy(self)  # TensorFlow keeps the function until the process ends

        def read(number: "tf.Tensor") -> "tuple[tf.Tensor, ...]":
            arrays = tf.numpy_function(
                lambda each: this._batches.batch(this.epoch, int(each)),
                [number],
                [spec.dtype for spec in specs],
                stateful=False,  # or, where operations must be deterministic, one thread reads
            )
            return tuple(
                tf.ensure_shape(array, spec.shape)
                for array, spec in zip(arrays, specs, strict=True)
            )

        options = tf.data.Options()
        options.autotune.enabled = False
        numbers = tf.data.Dataset.range(len(self._batches))
        return (
            numbers.map(read, num_parallel_calls=NUM_READERS, deterministic=True)
            .prefetch(NUM_READERS)
            .with_options(options)
        )
