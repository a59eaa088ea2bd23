import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from src.config.schema import Decoder
from src.data.decoding import UnusablePictureError, decode, thumbnail
from tests.unit.data.conftest import encode

PIXELS = 50_000_000
OWN_DECODERS = (Decoder.pillow, Decoder.opencv)


def corners() -> np.ndarray:
    """Red at the top left, green at the top right, blue at the bottom left, white else."""
    pixels = np.full((40, 60, 3), 255, np.uint8)
    pixels[:20, :30] = (255, 0, 0)
    pixels[:20, 30:] = (0, 255, 0)
    pixels[20:, :30] = (0, 0, 255)
    return pixels


def corner_colours(square: np.ndarray) -> list[tuple[int, ...]]:
    places = [(4, 4), (4, -5), (-5, 4), (-5, -5)]
    return [tuple((square[place].astype(int) > 127).astype(int)) for place in places]


UPRIGHT = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]


@pytest.mark.parametrize("decoder", OWN_DECODERS)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_every_format_becomes_upright_rgb(data_of, decoder: Decoder, form: str) -> None:
    square = decode(encode(corners(), form), data_of(decoder, 32, PIXELS))
    assert square.shape == (32, 32, 3)
    assert square.dtype == np.uint8
    assert corner_colours(square) == UPRIGHT


@pytest.mark.parametrize("decoder", OWN_DECODERS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(data_of, decoder: Decoder, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    picture = Image.fromarray(corners())
    if orientation in undo:
        picture = picture.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    picture.save(stream, "JPEG", exif=exif, quality=95)
    assert corner_colours(decode(stream.getvalue(), data_of(decoder, 32, PIXELS))) == UPRIGHT


@pytest.mark.parametrize("decoder", OWN_DECODERS)
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "YCbCr"])
def test_every_mode_becomes_rgb_of_the_same_brightness(
    data_of, decoder: Decoder, mode: str
) -> None:
    gray = np.full((48, 48), 128 if mode != "1" else 255, np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(gray.astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(gray).convert(mode)
    stream = io.BytesIO()
    picture.save(stream, "TIFF" if mode in ("CMYK", "YCbCr") else "PNG")
    square = decode(stream.getvalue(), data_of(decoder, 32, PIXELS))
    assert np.abs(square.astype(int) - int(gray[0, 0])).max() <= 3


@pytest.mark.parametrize("decoder", OWN_DECODERS)
def test_transparent_pixels_become_white(data_of, decoder: Decoder) -> None:
    pixels = np.zeros((40, 40, 4), np.uint8)
    assert decode(encode(pixels), data_of(decoder, 32, PIXELS)).min() == 255


@pytest.mark.parametrize("decoder", OWN_DECODERS)
def test_shrinking_does_not_alias(data_of, decoder: Decoder) -> None:
    """Lines of one pixel must become gray; nearest neighbour would make them black or white."""
    lines = np.zeros((256, 256, 3), np.uint8)
    lines[:, ::2] = 255
    square = decode(encode(lines), data_of(decoder, 32, PIXELS))
    assert np.abs(square.astype(int) - 127).max() <= 12


@pytest.mark.parametrize("decoder", OWN_DECODERS)
@pytest.mark.parametrize("shape", [(60, 1600), (1600, 60)])
def test_one_long_side_does_not_alias_either(
    data_of, decoder: Decoder, shape: tuple[int, int]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert decode(encode(noise), data_of(decoder, 64, PIXELS)).std() < 25  # 59 where it aliases


def test_sixteen_bits_are_not_guessed_from_the_picture(data_of) -> None:
    dark = Image.fromarray(np.full((40, 40), 200, np.uint16))
    stream = io.BytesIO()
    dark.save(stream, "PNG")
    assert decode(stream.getvalue(), data_of(Decoder.pillow, 32, PIXELS)).max() <= 1


@pytest.mark.slow
def test_decoders_agree(data_of) -> None:
    rng = np.random.default_rng(0)
    smooth = np.asarray(
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((200, 160))
    )
    content = encode(smooth, "JPEG", quality=95)
    squares = [decode(content, data_of(decoder, 64, PIXELS)).astype(int) for decoder in Decoder]
    for square in squares[1:]:
        assert np.abs(square - squares[0]).mean() < 2
    with pytest.raises(UnusablePictureError, match="unreadable"):
        decode(content[: len(content) // 2], data_of(Decoder.tensorflow, 64, PIXELS))


@pytest.mark.parametrize("decoder", OWN_DECODERS)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_cut_off_file_is_unreadable(data_of, decoder: Decoder, form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    content = encode(noise, form)
    with pytest.raises(UnusablePictureError) as refusal:
        decode(content[: len(content) * 2 // 3], data_of(decoder, 32, PIXELS))
    assert refusal.value.args[0] == "unreadable"


@pytest.mark.parametrize(
    "content", [b"file_name,age\n1,2\n", b"GIF89a", b"\xff\xd8\xff", b"\0" * 99]
)
def test_what_is_no_picture_is_refused(data_of, content: bytes) -> None:
    with pytest.raises(UnusablePictureError) as refusal:
        decode(content, data_of(Decoder.pillow, 32, PIXELS))
    assert refusal.value.args[0] in ("not_an_image", "unreadable")


def test_decompression_bomb_is_refused_undecoded(data_of) -> None:
    content = encode(np.zeros((3000, 3000), np.uint8))
    assert len(content) < 20_000
    with pytest.raises(UnusablePictureError, match="3000 x 3000") as refusal:
        decode(content, data_of(Decoder.pillow, 32, 1_000_000))
    assert refusal.value.args[0] == "too_large"


@settings(max_examples=200, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.binary(max_size=200), st.integers(0, 2000), st.sampled_from(OWN_DECODERS))
def test_garbage_never_escapes_as_another_error(
    data_of, garbage: bytes, place: int, decoder: Decoder
) -> None:
    whole = encode(np.full((40, 40, 3), 99, np.uint8), "JPEG")
    place %= len(whole)
    damaged = whole[:place] + garbage + whole[place + len(garbage) :]
    try:
        assert decode(damaged, data_of(decoder, 32, PIXELS)).shape == (32, 32, 3)
    except UnusablePictureError as refusal:
        assert refusal.args[0] in ("not_an_image", "unreadable", "too_large")


def test_thumbnail_keeps_its_proportions_and_is_not_enlarged(tmp_path) -> None:
    path = tmp_path / "wide.png"
    path.write_bytes(encode(np.zeros((100, 400, 3), np.uint8)))
    assert Image.open(io.BytesIO(thumbnail(path, 10**6, edge=160))).size == (160, 40)
    assert Image.open(io.BytesIO(thumbnail(path, 10**6, edge=900))).size == (400, 100)
