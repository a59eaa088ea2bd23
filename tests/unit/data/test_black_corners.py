"""Rotations are distinguished from darkness."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.black_corners import has_black_corner
from src.data.decoding import decode_whole
from tests.unit.data.conftest import encode


def lit(height: int = 200, width: int = 200) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 20, (height, width, 3))
    return np.clip(150 + noise, 60, 255).astype(np.uint8)


def turned(pixels: np.ndarray, degrees: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(pixels, matrix, (width, height))


@given(degrees=st.floats(4, 45), side=st.sampled_from([-1, 1]), width=st.integers(90, 300))
@settings(max_examples=30, deadline=None)
def test_every_turn_that_can_be_seen_is_found(degrees: float, side: int, width: int) -> None:
    assert has_black_corner(turned(lit(width=width), side * degrees))


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_jpeg_does_not_hide_it(quality: int) -> None:
    content = encode(turned(lit(), 12), "JPEG", quality=quality)
    assert has_black_corner(decode_whole(content, 1_000_000))


def test_one_corner_is_enough() -> None:
    pixels = lit()
    corner = np.array([[0, 0], [60, 0], [0, 25]])
    assert has_black_corner(cv2.fillPoly(pixels, [corner], (0, 0, 0)))


def test_whole_picture_has_none() -> None:
    assert not has_black_corner(lit())


def test_bars_are_no_rotation() -> None:
    pixels = lit()
    pixels[:20] = pixels[-20:] = 0
    pixels[:, :15] = 0
    assert not has_black_corner(pixels)


def test_dark_room_is_no_rotation() -> None:
    """A round light in the dark: black corners with a curved edge."""
    rows, columns = np.mgrid[:200, :200] - 100
    light = (np.hypot(rows, columns) < 110)[..., None]
    assert not has_black_corner((lit() * light).astype(np.uint8))


def test_slanting_but_dark_gray_is_no_rotation() -> None:
    shadow = cv2.fillPoly(lit(), [np.array([[0, 0], [90, 0], [0, 60]])], (11, 11, 11))
    assert not has_black_corner(shadow)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (9, 9)])
@pytest.mark.parametrize("level", [0, 255])
def test_tiny_pictures_have_none(shape: tuple[int, int], level: int) -> None:
    assert not has_black_corner(np.full((*shape, 3), level, np.uint8))
