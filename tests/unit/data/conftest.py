"""A small data set of drawn faces on disk, and one full of faults."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from src.config import Config
from src.config.schema import DataConfig, Decoder
from src.data.sample import draw_face


def encode(pixels: np.ndarray, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


@pytest.fixture
def data_of(compose_config: Callable[..., Config]) -> Callable[..., DataConfig]:
    """Returns the data group for a decoder, an edge of the result, and a limit of pixels."""

    base = compose_config().data

    def data(
        decoder: Decoder = Decoder.pillow, size: int = 32, max_pixels: int = 50_000_000,
        cache_dir: Path = Path(".cache"),
    ) -> DataConfig:  # fmt: skip
        return dataclasses.replace(
            base, decoder=decoder, image_size=size, max_pixels=max_pixels,
            cache_dir=str(cache_dir),
        )  # fmt: skip

    return data


@pytest.fixture
def write_faces(tmp_path: Path) -> Callable[..., Path]:
    """Write `labels.csv` and `final_files/` for the given ages; returns the root."""

    def write(ages: list[object], contents: dict[int, bytes] | None = None) -> Path:
        root = tmp_path / "faces"
        (root / "final_files").mkdir(parents=True)
        for place in range(len(ages)):
            content = (contents or {}).get(place)
            if content is None:
                content = encode(draw_face(30, np.random.default_rng(place)))
            (root / "final_files" / f"{place:03d}.png").write_bytes(content)
        names = [f"{place:03d}.png" for place in range(len(ages))]
        pd.DataFrame({"file_name": names, "real_age": ages}).to_csv(
            root / "labels.csv", index=False
        )
        return root

    return write
