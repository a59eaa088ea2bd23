"""Copies for a page."""

import io

import numpy as np
from PIL import Image

from src.data.thumbnail import thumbnail
from tests.unit.data.conftest import encode


def test_copy_keeps_its_proportions_and_is_not_enlarged(tmp_path) -> None:
    path = tmp_path / "wide.png"
    path.write_bytes(encode(np.zeros((100, 400, 3), np.uint8)))
    assert Image.open(io.BytesIO(thumbnail(path, 10**6, edge=160))).size == (160, 40)
    assert Image.open(io.BytesIO(thumbnail(path, 10**6, edge=900))).size == (400, 100)
