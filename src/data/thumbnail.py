"""Thumbnails for pages."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from src.data.decoding import decode_whole


def thumbnail(path: Path, max_pixels: int, edge: int = 160) -> bytes:
    """Returns a JPEG file, upright, in the picture's own proportions.

    Args:
        path: A picture that can be decoded.
        max_pixels: See `decode_whole`.
        edge: Longest edge of the copy, px; a smaller picture is not enlarged.
    """
    picture = Image.fromarray(np.ascontiguousarray(decode_whole(path.read_bytes(), max_pixels)))
    picture.thumbnail((edge, edge))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=85)
    return stream.getvalue()
