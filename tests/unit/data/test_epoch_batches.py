import gc
import weakref
from threading import Event

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism  # no public way back

from src.config.schema import AugmentationConfig
from src.data import Part, TrainingBatches
from src.data.epoch_batches import EpochBatches


@pytest.fixture
def batches() -> TrainingBatches:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (21, 8, 8, 3), np.uint8)
    part = Part(pd.DataFrame({"image_index": range(21)}), rng.random(21, np.float32), pixels)
    return TrainingBatches(part, 4, AugmentationConfig(True, True, 90, 0, 0, 0, 0, None), seed=0)


def test_data_set_has_the_batches_of_the_epoch_that_is_set(batches: TrainingBatches) -> None:
    epochs = EpochBatches(batches)
    dataset = epochs.dataset()
    assert len(dataset) == 6
    assert dataset.element_spec == (
        tf.TensorSpec((None, 8, 8, 3), tf.uint8), tf.TensorSpec((None, 1), tf.float32)
    )  # fmt: skip
    for epoch in (0, 3, 1):
        epochs.epoch = epoch
        for number, (images, ages) in enumerate(dataset):
            expected_images, expected_ages = batches.batch(epoch, number)
            assert np.array_equal(images, expected_images)
            assert np.array_equal(ages, expected_ages)
        assert number == 5


def test_batches_can_be_forgotten_after_their_data_set_was_read(batches: TrainingBatches) -> None:
    epochs = EpochBatches(batches)
    list(epochs.dataset())
    forgotten = weakref.ref(epochs)
    del epochs
    gc.collect()
    assert forgotten() is None


class MeetingBatches(TrainingBatches):
    """Batches of which the second waits for the first and the first for the second."""

    def __init__(self) -> None:
        self.begun = [Event(), Event()]

    def __len__(self) -> int:
        return 2

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        if epoch:
            self.begun[number].set()
            if not self.begun[1 - number].wait(timeout=10):
                raise TimeoutError("The other batch was not begun beside this one.")
        return np.zeros((1, 2, 2, 3), np.uint8), np.full((1, 1), number, np.float32)


def test_two_batches_are_read_at_a_time_even_where_operations_are_deterministic() -> None:
    epochs = EpochBatches(MeetingBatches())
    dataset = epochs.dataset()
    epochs.epoch = 1
    tf.config.experimental.enable_op_determinism()
    try:
        read = [float(ages[0, 0]) for _, ages in dataset]
    finally:
        disable_op_determinism()
    assert read == [0, 1]
