"""One photograph is known again; two are not confused."""

import cv2
import numpy as np
import pandas as pd
from skimage.data import astronaut, camera

from src.data.decoding import decode_whole
from src.data.fingerprint import fingerprint, near_duplicates
from src.data.sample import draw_face
from tests.unit.data.conftest import encode


def gray(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def test_other_size_and_compression_are_the_same_photograph() -> None:
    photograph = astronaut()
    squeezed = decode_whole(encode(photograph, "JPEG", quality=30), 10**7)
    small = cv2.resize(photograph, (128, 128), interpolation=cv2.INTER_AREA)
    prints = {
        "original": fingerprint(gray(photograph)),
        "squeezed": fingerprint(gray(squeezed)),
        "small": fingerprint(gray(small)),
        "another": fingerprint(camera()),
    }
    pairs = near_duplicates(pd.Series(prints))
    assert sorted(pairs) == [
        ("original", "small"), ("original", "squeezed"), ("squeezed", "small"),
    ]  # fmt: skip


def test_drawn_faces_are_all_different() -> None:
    rng = np.random.default_rng(0)
    faces = [draw_face(age, rng) for age in range(1, 90)]
    assert near_duplicates(pd.Series([fingerprint(gray(face)) for face in faces])) == []


def test_walls_of_one_shade_are_like_nothing() -> None:
    walls = [fingerprint(np.full((50, 50), level, np.uint8)) for level in (0, 90, 255)]
    assert near_duplicates(pd.Series(walls)) == []
    assert near_duplicates(pd.Series([], dtype=str)) == []
