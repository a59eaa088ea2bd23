import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config.schema import AugmentationConfig
from src.data.augmentation import augment
from src.data.batches import TrainingBatches
from src.data.dataset import Part

NONE = AugmentationConfig(False, False, 0, 0, 0, 0, 0)
STANDARD = AugmentationConfig(True, False, 15, 0.05, 0.1, 0.1, 0.1)


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


def noise(count: int = 64, size: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def test_no_augmentation_changes_nothing() -> None:
    images = noise()
    assert np.array_equal(augment(images, NONE, np.random.default_rng(0)), images)


@pytest.mark.parametrize("name", ["horizontal_flip", "vertical_flip"])
def test_flip_mirrors_about_half_of_the_pictures(name: str) -> None:
    images = noise()
    flipped = augment(images, dataclasses.replace(NONE, **{name: True}), np.random.default_rng(0))
    mirror = images[:, :, ::-1] if name == "horizontal_flip" else images[:, ::-1]
    same = (flipped == images).all(axis=(1, 2, 3))
    mirrored = (flipped == mirror).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 <= mirrored.sum() <= 48


def test_flip_is_the_same_with_and_without_a_warp() -> None:
    images = noise()
    flip = dataclasses.replace(NONE, horizontal_flip=True, vertical_flip=True)
    warp = dataclasses.replace(flip, rotation_degrees=1e-9)
    plain = augment(images, flip, np.random.default_rng(3))
    warped = augment(images, warp, np.random.default_rng(3))
    assert np.abs(plain.astype(int) - warped.astype(int)).max() <= 1


def test_rotation_keeps_the_centre_and_turns_the_rest() -> None:
    images = np.zeros((64, 33, 33, 3), np.uint8)
    images[:, 16, 16] = 255
    images[:, 4, 16] = 200
    turned = augment(
        images, dataclasses.replace(NONE, rotation_degrees=90), np.random.default_rng(0)
    )
    assert (turned[:, 16, 16, 0] > 250).all()
    angles = []
    for picture in turned[..., 0]:
        y, x = np.unravel_index(np.argmax(np.where(picture > 220, 0, picture)), picture.shape)
        angles.append(np.degrees(np.arctan2(x - 16, 16 - y)))
    assert max(angles) > 60
    assert min(angles) < -60
    assert max(np.abs(angles)) <= 95


@given(st.integers(0, 2**32 - 1))
def test_every_change_keeps_shape_type_and_the_input(seed: int) -> None:
    images = noise(4)
    before = images.copy()
    changed = augment(images, STANDARD, np.random.default_rng(seed))
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8
    assert np.array_equal(images, before)
    assert np.array_equal(changed, augment(images, STANDARD, np.random.default_rng(seed)))
