import keras
import numpy as np
import pandas as pd
import pytest

from src.data import Part
from src.training.measurement import Measured, epoch_metrics, measure

pytestmark = pytest.mark.slow


def make_part(count: int) -> Part:
    """Face i has pixels of value i and is 2 i years old; its pictures lie in reverse order."""
    pixels = np.arange(count, dtype=np.uint8)[::-1, None, None, None] * np.ones(
        (1, 4, 4, 3), np.uint8
    )
    faces = pd.DataFrame(
        {"row": range(count), "file_name": "f", "age": 2.0 * np.arange(count),
         "image_index": np.arange(count)[::-1]}
    )  # fmt: skip
    return Part(faces, 2 * np.arange(count, dtype=np.float32), pixels)


@pytest.fixture
def brightness() -> keras.Model:
    """Predicts a picture's mean value."""
    pictures = keras.Input((4, 4, 3), dtype="uint8")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1.0)(pictures))
    return keras.Model(pictures, keras.ops.mean(mean, axis=-1, keepdims=True))


@pytest.mark.parametrize("batch_size", [1, 4, 7, 8, 100])
def test_every_face_is_measured_once_and_in_order(brightness, batch_size) -> None:
    measured = measure(brightness, make_part(7), batch_size)
    assert np.array_equal(measured.predictions, np.arange(7, dtype=np.float32))
    assert measured.mae == 3
    assert list(measured.table("age")["prediction"]) == list(range(7))


def test_gap_is_validation_minus_training() -> None:
    train, val = (
        Measured(make_part(2), np.array([0, 2 + error], np.float32)) for error in (2.0, 6.0)
    )
    record = epoch_metrics({"train": train, "val": val}, "mse")
    assert record == {
        "mae/train": 1, "mae/val": 3, "mae/gap": 2, "loss/train": 2, "loss/val": 18,
    }  # fmt: skip
    of_huber = epoch_metrics({"train": train, "val": val}, "huber")
    assert of_huber["loss/train"] == pytest.approx(0.75)  # 1.5 / 2
