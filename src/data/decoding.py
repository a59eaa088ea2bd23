"""Decoding of a picture file to an upright, square RGB array."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from src.config.schema import DataConfig, Decoder

Image.MAX_IMAGE_PIXELS = None  # `max_pixels` is checked below, for every decoder alike


class UnusablePictureError(ValueError):
    """A picture that cannot be decoded; its arguments are the audit's reason and the detail."""


def decode(content: bytes, data: DataConfig) -> np.ndarray:
    """Decodes, turns upright, converts to RGB and shrinks to a square, without aliasing.

    OpenCV and TensorFlow decode the ordinary files: whole 8-bit RGB or gray JPEG and PNG files
    without rotation. Palettes, alpha, CMYK, 16 bits, EXIF rotation and truncated files go to
    Pillow with every decoder. The picture is squeezed to a square, as in the seed study.

    Args:
        content: The file's bytes.
        data: Decoder, edge of the result (px), and width times height above which a picture is
            refused undecoded.

    Returns:
        uint8 array of shape `(size, size, 3)`.

    Raises:
        UnusablePictureError: With the reason not_an_image, too_large or unreadable.
    """
    with _opened(content, data.max_pixels) as picture:
        if data.decoder is Decoder.pillow or not _is_ordinary(picture, content):
            return _decode_with_pillow(picture, data.image_size)
        if data.decoder is Decoder.opencv:
            return _decode_with_opencv(content, data.image_size)
        return _decode_with_tensorflow(content, data.image_size)


def library_versions(decoder: Decoder) -> dict[str, str]:
    """Returns the versions of the libraries that a decoder uses."""
    versions = {"pillow": PIL.__version__}
    if decoder is Decoder.opencv:
        versions["opencv"] = cv2.__version__
    if decoder is Decoder.tensorflow:
        import tensorflow as tf

        versions["tensorflow"] = tf.__version__
    return versions


def decode_whole(content: bytes, max_pixels: int) -> np.ndarray:
    """Decodes, turns upright and converts to RGB, at the picture's own size.

    Args:
        content: The file's bytes.
        max_pixels: Width times height above which a picture is refused undecoded.

    Returns:
        uint8 array of shape `(height, width, 3)`.

    Raises:
        UnusablePictureError: As `decode`.
    """
    with _opened(content, max_pixels) as picture:
        return np.asarray(_to_rgb(ImageOps.exif_transpose(picture)))


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


@contextmanager
def _opened(content: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """Opens a picture without decoding it; an error of the body becomes `UnusablePictureError`."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            width, height = picture.size
            if width * height > max_pixels:
                raise UnusablePictureError("too_large", f"{width} x {height} px")
            yield picture
    except UnusablePictureError:
        raise
    except UnidentifiedImageError as error:
        raise UnusablePictureError("not_an_image", f"begins with {content[:8]!r}") from error
    except Exception as error:  # parsers raise nearly anything on hostile bytes
        description = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise UnusablePictureError("unreadable", description) from error


def _is_ordinary(picture: Image.Image, content: bytes) -> bool:
    tail = content.rstrip(b"\0")[-12:]
    is_whole = tail.endswith(b"\xff\xd9") or b"IEND" in tail
    return (
        picture.format in ("JPEG", "PNG")
        and picture.mode in ("RGB", "L")
        and is_whole
        and "transparency" not in picture.info
        and picture.getexif().get(ExifTags.Base.Orientation, 1) in (0, 1)  # upright
    )


def _decode_with_pillow(picture: Image.Image, size: int) -> np.ndarray:
    picture.draft("RGB", (2 * size, 2 * size))  # JPEG: decode no more than is needed
    rgb = _to_rgb(ImageOps.exif_transpose(picture))
    return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR))


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):  # integers or floats, whose white is not defined
        values = np.asarray(picture, dtype=np.float64)
        largest = values.max()
        white = 65535.0 if picture.mode.startswith("I;16") or largest > 255 else 255.0
        if picture.mode == "F" and largest <= 1:
            white = 1.0
        gray = np.clip(values / white * 255, 0, 255).round().astype(np.uint8)
        return Image.fromarray(gray).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        background = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(background, picture).convert("RGB")
    return picture.convert("RGB")


def _decode_with_opencv(content: bytes, size: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise UnusablePictureError("unreadable", "OpenCV cannot decode it")
    height, width = pixels.shape[:2]
    # INTER_AREA averages only where both sides shrink, so the sides that grow come second.
    if max(width, height) > size:
        shrunk = min(width, size), min(height, size)
        pixels = cv2.resize(pixels, shrunk, interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR)


def _decode_with_tensorflow(content: bytes, size: int) -> np.ndarray:
    import tensorflow as tf

    pixels = tf.io.decode_image(content, channels=3, expand_animations=False)
    small = tf.image.resize(pixels, (size, size), method="bilinear", antialias=True)
    return np.asarray(tf.cast(tf.clip_by_value(tf.round(small), 0, 255), tf.uint8))
