import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.metrics import (
    band_of,
    baseline_metrics,
    mean_absolute_error,
    metrics_by_band,
    regression_metrics,
)
from src.records.terms import neutral_target


def test_metrics_agree_with_hand_computed_values() -> None:
    ages = np.array([10.0, 20.0, 30.0, 40.0])
    predictions = np.array([12.0, 15.0, 30.0, 49.0])  # errors +2 −5 0 +9
    metrics = regression_metrics(ages, predictions)
    assert metrics["mae"] == 4.0
    assert metrics["rmse"] == pytest.approx(np.sqrt(110 / 4))
    assert metrics["median_error"] == 3.5
    assert metrics["cs5"] == 0.75  # five years exactly counts
    assert metrics["bias"] == 1.5


def test_bands_hold_every_face_once() -> None:
    ages = np.array([0, 4, 4.9, 5, 19, 20, 69.5, 70, 116, 120.0])
    rows = metrics_by_band(ages, ages + 1, neutral_target().bands)
    assert sum(row["n"] for row in rows) == len(ages)
    assert {row["band"]: row["n"] for row in rows}["0-4"] == 3
    assert all(row["mae"] == pytest.approx(1) for row in rows)


def test_band_holds_its_whole_numbers_and_gaps_hold_none() -> None:
    values = np.array([-1, 0, 4.9, 5, 7, 8, 9.99, 10, np.nan])
    assert list(band_of(values, [[0, 4], [7, 9]])) == [-1, 0, 0, -1, 1, 1, 1, -1, -1]


def test_baselines_guess_the_training_mean_and_median() -> None:
    train_ages = np.array([0.0, 0.0, 30.0])
    assert baseline_metrics(train_ages, np.array([10.0, 20.0])) == {
        "mean_predictor_mae": 5.0,
        "median_predictor_mae": 15.0,
    }


@pytest.mark.parametrize(
    ("ages", "predictions"),
    [(np.array([]), np.array([])), (np.zeros(2), np.zeros(3)), (np.zeros(3), np.zeros((3, 1)))],
)
def test_empty_or_ill_matched_arrays_are_refused(ages, predictions) -> None:
    with pytest.raises(ValueError, match="Received"):
        mean_absolute_error(ages, predictions)


@given(st.lists(st.floats(0, 120, width=32), min_size=1), st.floats(-50, 50, width=32))
def test_constant_error_is_the_mae_and_the_bias(ages: list[float], error: float) -> None:
    true = np.array(ages)
    metrics = regression_metrics(true, true + error)
    assert metrics["mae"] == pytest.approx(abs(error), abs=1e-9)
    assert metrics["bias"] == pytest.approx(error, abs=1e-9)
    assert metrics["rmse"] == pytest.approx(abs(error), abs=1e-9)
