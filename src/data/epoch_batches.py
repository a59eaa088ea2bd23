"""Prefetched batches of consecutive epochs for `fit`."""

import weakref
from typing import TYPE_CHECKING

from src.data.batches import TrainingBatches

if TYPE_CHECKING:
    import tensorflow as tf

NUM_READERS = 2  # threads, and prefetched batches


class EpochBatches:
    """Batches that two threads prefetch during the step.

    Attributes:
        epoch: Current epoch, from 0; set before each epoch.
    """

    def __init__(self, batches: TrainingBatches) -> None:
        self._batches = batches
        self.epoch = 0

    def dataset(self) -> "tf.data.Dataset":
        """Returns the batches of one epoch, in order; valid while this object exists.

        A Keras `PyDataset` with two workers reads 6,500 mirrored pictures of 224 px a second, and
        waits 0.1 s after each epoch; this reads 12,000 (2 cores). TensorFlow's autotuning is off:
        its thread sometimes sleeps when an iterator is closed, and epochs of 10 s took 18
        (TensorFlow 2.21).
        """
        import tensorflow as tf  # Keras may run on another backend

        specs = [
            tf.TensorSpec((None, *array.shape[1:]), array.dtype)
            for array in self._batches.batch(0, 0)
        ]

        this = weakref.proxy(self)  # TensorFlow keeps the function until the end of the process

        def read(number: "tf.Tensor") -> "tuple[tf.Tensor, ...]":
            arrays = tf.numpy_function(
                lambda each: this._batches.batch(this.epoch, int(each)),
                [number],
                [spec.dtype for spec in specs],
                stateful=False,  # else a single thread reads if operations must be deterministic
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
