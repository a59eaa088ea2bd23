"""Drawn faces, so that every command works without a download.

They are cartoons: round faces and large eyes for children, wrinkles, gray and receding hair for
the old. Their ages are distributed as the seed study's. They show that training works; they say
nothing about people.
"""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import ArrayLike
from PIL import Image

from src.data.threads import in_threads

AGE_COUNTS = Path(__file__).parent / "seed_ages.csv"
"""Number of the seed study's 7,591 faces of each age (counted in its `labels.csv`)."""

_VERSION = 1  # to be raised when draw_face() gives other pixels
_SIZE = 160  # px


def draw_data_set(num_images: int, folder: Path) -> Path:
    """Returns the root of a drawn data set, `labels.csv` and `final_files/`, drawn on first use.

    The same number of images always gives the same bytes.

    Args:
        num_images: Number of faces, >= 1.
        folder: Parent of the folders of drawn data sets.
    """
    root = data_set_folder(num_images, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{root.name}.lock"):
        if not root.is_dir():
            unfinished = folder / f"{root.name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            _draw(num_images, unfinished)
            unfinished.rename(root)
    return root


def data_set_folder(num_images: int, folder: Path) -> Path:
    """Returns the folder of a drawn data set, which need not exist yet."""
    return folder / f"{num_images}-v{_VERSION}"


def draw_ages(num_images: int) -> np.ndarray:
    """Returns ages in years, shape `(num_images,)`, evenly spaced among the seed study's."""
    counts = pd.read_csv(AGE_COUNTS)
    ages = np.repeat(counts["age"].to_numpy(), counts["count"].to_numpy())
    indices = (np.arange(num_images) + 0.5) / num_images * len(ages)
    return np.random.default_rng(0).permutation(ages[indices.astype(int)])


def draw_face(age: float, rng: np.random.Generator) -> np.ndarray:
    """Returns a face of the given age in years, uint8 RGB of shape `(160, 160, 3)`."""
    youth = np.clip(1 - age / 20, 0, 1)  # 1 for a newborn, 0 from 20 years
    wear = np.clip((age - 25) / 65, 0, 1)  # 0 until 25 years, 1 from 90
    image = np.full((_SIZE, _SIZE, 3), rng.integers(40, 216, 3), np.uint8)
    skin = np.array([224, 172, 138]) * rng.uniform(0.45, 1.08) + rng.normal(0, 6, 3)
    gray = np.clip(wear * 1.6 - rng.uniform(0, 0.4), 0, 1)
    hair = rng.choice([[40, 28, 20], [90, 60, 30], [170, 130, 70], [20, 18, 18]]) * (1 - gray)
    hair = hair + np.array([205, 205, 208]) * gray
    centre = np.array([80, 84]) + rng.normal(0, 3, 2)
    width = 44 + 5 * youth + rng.normal(0, 1.5)
    height = 50 + 8 * (1 - youth) + rng.normal(0, 1.5)

    hairline = 14 + 16 * wear + rng.normal(0, 2)
    _ellipse(image, centre - (0, 12), (width + 7, height + 2), hair)
    _ellipse(image, centre, (width, height), skin)
    _ellipse(image, centre - (0, height + 8 - hairline), (width * 0.82, 16 - 9 * wear), hair)

    eye_y = -2 + 9 * youth
    iris = rng.choice([[60, 40, 20], [40, 80, 110]])
    fold = skin * (0.95 - 0.25 * wear)
    for side in (-1, 1):
        eye = centre + (side * width * 0.42, eye_y)
        _ellipse(image, eye, (7 + 3 * youth, 4.5 + 3 * youth - 1.5 * wear), (245, 245, 245))
        _ellipse(image, eye, (3 + 2 * youth, 3 + 2 * youth), iris)
        _ellipse(image, eye - (0, 11), (9, 1.2 + rng.uniform(0, 1.5)), hair * 0.9)
        for line in range(int(round(4 * wear + rng.normal(0, 0.3)))):  # crow's feet
            start = eye + (side * 10, -4 + 3 * line)
            _line(image, start, start + (side * 7, -3 + 2.5 * line), skin * 0.72)
        if wear > 0.1:  # the fold from nose to mouth, and the bag below the eye
            _line(image, centre + (side * 9, 16), centre + (side * (15 + 3 * wear), 32), fold)
            _line(image, eye + (-6, 9), eye + (6, 9 + 2 * wear), fold)
    for line in range(int(round(5 * wear + rng.normal(0, 0.3)))):  # forehead
        start = centre + (-width * 0.5, 12 + 5 * line - height * 0.62)
        _line(image, start, start + (width, rng.normal(0, 1)), skin * 0.75)
    _line(image, centre + (0, eye_y + 6), centre + (3, 12 + 4 * (1 - youth)), skin * 0.8)
    mouth = centre + (0, 30 - 4 * youth)
    _ellipse(image, mouth, (13 - 3 * youth, 3 - 1.5 * wear), skin * (0.7, 0.5, 0.5))

    tilt = cv2.getRotationMatrix2D((80, 80), rng.normal(0, 5), 1)
    tilted = cv2.warpAffine(image, tilt, (_SIZE, _SIZE), borderMode=cv2.BORDER_REPLICATE)
    light = rng.uniform(0.75, 1.15) + np.linspace(-1, 1, _SIZE)[None, :, None] * rng.normal(0, 0.1)
    pixels = tilted * light + rng.normal(0, 5, image.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _draw(num_images: int, root: Path) -> None:
    (root / "final_files").mkdir(parents=True)
    ages = draw_ages(num_images)
    names = [f"{index:06d}.png" for index in range(num_images)]

    def draw(index: int) -> None:
        image = draw_face(float(ages[index]), np.random.default_rng([num_images, index]))
        Image.fromarray(image).save(root / "final_files" / names[index], compress_level=1)

    for _ in in_threads(draw, range(num_images), "drawing faces"):
        pass
    labels = pd.DataFrame({"file_name": names, "real_age": ages})
    labels.to_csv(root / "labels.csv", index=False)


def _ellipse(
    image: np.ndarray, centre: np.ndarray, axes: tuple[float, float], colour: ArrayLike
) -> None:
    """Draws a filled ellipse with a sixteenth of a pixel's precision."""
    radii = [max(8, radius) for radius in _sixteenths(axes)]
    cv2.ellipse(image, _sixteenths(centre), radii, 0, 0, 360, _limited(colour), -1, cv2.LINE_AA, 4)


def _line(image: np.ndarray, start: np.ndarray, end: np.ndarray, colour: ArrayLike) -> None:
    cv2.line(image, _sixteenths(start), _sixteenths(end), _limited(colour), 1, cv2.LINE_AA, 4)


def _sixteenths(pixels: ArrayLike) -> list[int]:
    return np.round(np.multiply(pixels, 16)).astype(int).tolist()


def _limited(colour: ArrayLike) -> list[float]:
    return np.clip(colour, 0, 255).astype(float).tolist()
