import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from src.config.schema import AugmentationConfig
from src.data.batches import TrainingBatches
from src.data.dataset import Part

NONE = AugmentationConfig(False, False, 0, 0, 0, 0, 0)


def numbered_part(count: int) -> Part:
    """Picture i is filled with the value i, and its face is i years old."""
    pixels = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    faces = pd.DataFrame({"image_index": range(count), "age": np.arange(float(count))})
    return Part(faces, np.arange(count, dtype=np.float32), pixels)


@given(st.integers(1, 60), st.integers(1, 64), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_an_epoch_holds_every_face_once_with_its_own_age(
    count: int, batch_size: int, epoch: int, seed: int
) -> None:
    batches = TrainingBatches(numbered_part(count), batch_size, NONE, seed)
    images, ages = zip(*(batches.batch(epoch, i) for i in range(len(batches))), strict=True)
    ages = np.concatenate(ages)
    assert ages.shape == (count, 1)
    assert sorted(ages[:, 0]) == list(range(count))
    assert np.array_equal(np.concatenate(images)[:, 0, 0, 0], ages[:, 0])


def test_order_differs_between_epochs_and_seeds_and_repeats_otherwise() -> None:
    part = numbered_part(50)

    def order(seed: int, epoch: int) -> tuple:
        return tuple(TrainingBatches(part, 50, NONE, seed).batch(epoch, 0)[1][:, 0])

    assert len({order(0, 0), order(0, 1), order(1, 0)}) == 3
    assert order(0, 1) == order(0, 1)
