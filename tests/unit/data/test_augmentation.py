import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config.schema import AugmentationConfig
from src.core.errors import UsageError
from src.data.augmentation import _warp, augmented, draw

NONE = AugmentationConfig(False, False, 0, 0, 0, 0, 0, None)
STANDARD = AugmentationConfig(True, False, 15, 0.05, 0.1, 0.1, 0.1, None)


def augment(images: np.ndarray, augmentation: AugmentationConfig, seed: int = 0) -> np.ndarray:
    draws = draw(np.random.default_rng(seed), len(images))
    return augmented(images, np.arange(len(images)), augmentation, draws)


def changed(images: np.ndarray, **changes: float) -> np.ndarray:
    return augment(images, dataclasses.replace(NONE, **changes))


def noise(count: int = 64, size: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def test_no_augmentation_changes_nothing() -> None:
    images = noise()
    assert np.array_equal(augment(images, NONE), images)


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(NONE) if field.name != "cached_views"]
)
def test_each_change_alone_counts_as_one_and_is_one(name: str) -> None:
    assert not dataclasses.replace(NONE, cached_views=3).changes_pictures
    one = dataclasses.replace(NONE, **{name: True if name.endswith("flip") else 0.5})
    assert one.changes_pictures
    images = noise()
    assert not np.array_equal(augment(images, one), images)


@pytest.mark.parametrize("augmentation", [NONE, dataclasses.replace(NONE, horizontal_flip=True),
                                          STANDARD])  # fmt: skip
def test_pictures_come_from_their_indices_and_leave_the_pixels_alone(
    tmp_path: Path, augmentation: AugmentationConfig
) -> None:
    images = noise(10)
    np.save(tmp_path / "pixels.npy", images)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    indices = np.array([7, 0, 7, 3])
    draws = draw(np.random.default_rng(0), 4)
    found = augmented(mapped, indices, augmentation, draws)
    assert np.array_equal(found, augmented(images[indices], np.arange(4), augmentation, draws))
    assert np.array_equal(mapped, images)


@pytest.mark.parametrize("name", ["horizontal_flip", "vertical_flip"])
def test_flip_mirrors_about_half_of_the_pictures(name: str) -> None:
    images = noise()
    flipped = changed(images, **{name: True})
    mirror = images[:, :, ::-1] if name == "horizontal_flip" else images[:, ::-1]
    same = (flipped == images).all(axis=(1, 2, 3))
    mirrored = (flipped == mirror).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 <= mirrored.sum() <= 48


def test_both_flips_of_one_picture_follow_one_another() -> None:
    images = noise()
    both = changed(images, horizontal_flip=True, vertical_flip=True)
    across = changed(images, horizontal_flip=True)
    down = changed(images, vertical_flip=True)
    flipped = (down != images).any(axis=(1, 2, 3))
    across[flipped] = across[flipped, ::-1]
    assert np.array_equal(both, across)


def test_flip_is_the_same_with_and_without_a_warp() -> None:
    images = noise()
    flip = dataclasses.replace(NONE, horizontal_flip=True, vertical_flip=True)
    warp = dataclasses.replace(flip, rotation_degrees=1e-9)
    plain = augment(images, flip, seed=3)
    warped = augment(images, warp, seed=3)
    assert np.abs(plain.astype(int) - warped.astype(int)).max() <= 1


def test_rotation_keeps_the_centre_and_turns_the_rest() -> None:
    images = np.zeros((64, 33, 33, 3), np.uint8)
    images[:, 16, 16] = 255
    images[:, 4, 16] = 200
    turned = changed(images, rotation_degrees=90)
    assert (turned[:, 16, 16, 0] > 250).all()
    angles = []
    for picture in turned[..., 0]:
        y, x = np.unravel_index(np.argmax(np.where(picture > 220, 0, picture)), picture.shape)
        angles.append(np.degrees(np.arctan2(x - 16, 16 - y)))
    assert max(angles) > 60
    assert min(angles) < -60
    assert max(np.abs(angles)) <= 95


@given(st.integers(0, 2**32 - 1), st.integers(1, 70))
def test_warp_gives_what_opencv_makes_of_three_channels(seed: int, size: int) -> None:
    image = noise(1, size)[0]
    rng = np.random.default_rng(seed)
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-180, 180), 1.3)
    expected = cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    found = image.copy()
    _warp(found, matrix)
    assert np.abs(found.astype(int) - expected).max() <= 1  # 0 on the processors tried


@given(st.integers(0, 2**32 - 1))
def test_every_change_keeps_shape_type_and_the_input(seed: int) -> None:
    images = noise(4)
    before = images.copy()
    found = augment(images, STANDARD, seed)
    assert found.shape == images.shape
    assert found.dtype == np.uint8
    assert np.array_equal(images, before)
    assert np.array_equal(found, augment(images, STANDARD, seed))


def centred_square(half: int) -> np.ndarray:
    images = np.zeros((64, 41, 41, 3), np.uint8)
    images[:, 20 - half : 21 + half, 20 - half : 21 + half] = 255
    return images


def test_zoom_shrinks_and_grows_about_the_centre() -> None:
    zoomed = changed(centred_square(5), zoom_fraction=0.5)[..., 0] / 255
    sides = np.sqrt(zoomed.sum(axis=(1, 2)))
    assert 5 < sides.min() < 7
    assert 15 < sides.max() < 17
    assert (zoomed[:, 20, 20] == 1).all()


def test_shift_moves_both_ways_along_both_axes() -> None:
    shifted = changed(centred_square(1), shift_fraction=0.25)[..., 0] / 255
    weights = shifted / shifted.sum(axis=(1, 2), keepdims=True)
    for axis in (1, 2):
        places = (weights.sum(axis=3 - axis) * np.arange(41)).sum(axis=1) - 20
        assert -10.5 < places.min() < -7
        assert 7 < places.max() < 10.5


def test_brightness_adds_the_same_to_all_of_a_picture() -> None:
    lit = changed(np.full((64, 8, 8, 3), 100, np.uint8), brightness=0.2)
    assert (lit == lit[:, :1, :1, :1]).all()
    change = lit[:, 0, 0, 0].astype(int) - 100
    assert -52 <= change.min() < -35
    assert 35 < change.max() <= 52


def test_contrast_stretches_about_middle_gray() -> None:
    images = np.full((64, 8, 8, 3), 64, np.uint8)
    images[:, :4] = 191
    stretched = changed(images, contrast=0.5).astype(int)
    upper, lower = stretched[:, 0, 0, 0], stretched[:, 7, 0, 0]
    assert np.abs(upper + lower - 255).max() <= 2
    factors = (upper - lower) / 127
    assert 0.48 < factors.min() < 0.65
    assert 1.35 < factors.max() < 1.52


def test_number_of_views_is_none_or_at_least_one(compose_config) -> None:
    assert compose_config().augmentation.cached_views is None
    assert compose_config("augmentation.cached_views=1").augmentation.cached_views == 1
    with pytest.raises(UsageError, match=r"cached_views.* null or >= 1.*Received: .*=0"):
        compose_config("augmentation.cached_views=0")


@pytest.mark.parametrize("index", [-1, 2])
def test_picture_that_is_not_there_is_no_other_picture(index) -> None:
    with pytest.raises(IndexError, match="of 2 pictures"):
        augmented(noise(2), np.array([0, index]), NONE, np.zeros((2, 8)))
