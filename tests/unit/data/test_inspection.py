"""Measurements on pictures made by hand."""

import hashlib
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from src.data import inspection
from src.data.decoding import decode_whole
from src.data.inspection import FLAGS, MEASURES, inspect_all, inspect_picture, shows_face
from src.data.sample import draw_face
from tests.unit.data.conftest import encode

MAX_PIXELS = 1_000_000


@pytest.fixture
def face() -> np.ndarray:
    return draw_face(30, np.random.default_rng(0))


def inspected(content: bytes) -> dict:
    return inspect_picture(decode_whole(content, MAX_PIXELS))


def files_in(folder: Path, *contents: bytes) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    files = {}
    for content in contents:
        digest = hashlib.sha256(content).hexdigest()
        files[digest] = folder / digest
        files[digest].write_bytes(content)
    return files


def test_light_of_two_halves_is_known_by_hand() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 30:] = 200
    measured = inspect_picture(pixels)
    assert (measured["width"], measured["height"]) == (60, 40)
    assert measured["brightness"] == pytest.approx(100)
    assert measured["contrast"] == pytest.approx(100)
    assert measured["is_gray"]


def test_every_measure_and_flag_is_there(face) -> None:
    assert set(inspect_picture(face)) == {*MEASURES, *FLAGS, "fingerprint"}


def test_blurring_lowers_sharpness_and_file_size_does_not(face) -> None:
    sharp = inspect_picture(face)["sharpness"]
    blurred = inspect_picture(cv2.GaussianBlur(face, (0, 0), 3))["sharpness"]
    enlarged = inspect_picture(cv2.resize(face, None, fx=3, fy=3))["sharpness"]
    assert blurred < sharp / 10
    assert 0.5 < enlarged / sharp < 2


def test_colour_is_not_gray_and_gray_survives_jpeg(face) -> None:
    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    assert not inspected(encode(face, "JPEG"))["is_gray"]
    assert inspected(encode(gray, "JPEG"))["is_gray"]
    assert inspected(encode(np.dstack([gray] * 3), "JPEG", quality=60))["is_gray"]


def test_exif_rotation_is_applied_before_measuring() -> None:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 50), "red").save(stream, "JPEG", exif=exif)
    measured = inspected(stream.getvalue())
    assert (measured["width"], measured["height"]) == (50, 30)


def test_palette_and_alpha_become_what_a_model_sees(face) -> None:
    stream = io.BytesIO()
    Image.fromarray(face).quantize(64).save(stream, "PNG")
    whole = inspect_picture(face)
    assert inspected(stream.getvalue())["brightness"] == pytest.approx(whole["brightness"], abs=3)
    clear = np.zeros((20, 20, 4), np.uint8)
    assert inspected(encode(clear))["brightness"] == 255


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (7, 9), (2, 2)])
def test_tiny_and_thin_pictures_are_measured(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    measured = inspect_picture(pixels)
    assert not measured["shows_face"]
    assert np.isfinite([measured[name] for name in MEASURES]).all()


def test_real_face_is_found_and_a_flat_wall_is_none() -> None:
    face = cv2.cvtColor(astronaut()[0:200, 130:330], cv2.COLOR_RGB2GRAY)
    assert shows_face(face)
    assert shows_face(cv2.resize(face, (64, 64)))
    assert not shows_face(np.full((200, 200), 128, np.uint8))


def test_unusable_pictures_come_back_with_their_reasons(face, tmp_path) -> None:
    whole = encode(face)
    files = files_in(tmp_path / "in", whole, whole[: len(whole) // 2], b"words",
                     encode(np.zeros((2000, 2000), np.uint8)))  # fmt: skip
    measured, problems = inspect_all(files, MAX_PIXELS, tmp_path / "kept")
    assert list(measured.index) == [hashlib.sha256(whole).hexdigest()]
    reasons = [problems[digest][0] for digest in list(files)[1:]]
    assert reasons == ["unreadable", "not_an_image", "too_large"]


def test_nothing_is_opened_twice(face, tmp_path, monkeypatch) -> None:
    files = files_in(tmp_path / "in", encode(face), b"words")
    first, first_problems = inspect_all(files, MAX_PIXELS, tmp_path / "kept")
    monkeypatch.setattr(inspection, "decode_whole", None)
    again, problems = inspect_all(files, MAX_PIXELS, tmp_path / "kept")
    assert again.equals(first)
    assert again.dtypes.equals(first.dtypes)
    assert problems == first_problems


def test_interruption_keeps_what_was_done(face, tmp_path, monkeypatch) -> None:
    contents = [encode(np.roll(face, shift, axis=1)) for shift in range(4)]
    files = files_in(tmp_path / "in", *contents)
    opened: list[bytes] = []

    def interrupted(content: bytes, max_pixels: int) -> np.ndarray:
        opened.append(content)
        if content == contents[2] and opened.count(content) == 1:
            raise KeyboardInterrupt
        return decode_whole(content, max_pixels)

    monkeypatch.setattr(inspection, "decode_whole", interrupted)
    with pytest.raises(KeyboardInterrupt):
        inspect_all(files, MAX_PIXELS, tmp_path / "kept")
    opened.clear()
    opened.append(contents[2])
    measured, _ = inspect_all(files, MAX_PIXELS, tmp_path / "kept")
    assert len(measured) == 4
    assert sorted(opened) == sorted([contents[2], *contents[2:]])
