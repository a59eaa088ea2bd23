"""Errors of predictions, in the unit of the labels."""

from collections.abc import Sequence

import numpy as np

AGE_BANDS = ((0, 4), (5, 12), (13, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 120))
"""Inclusive lower and upper ages, years."""


def mean_absolute_error(ages: np.ndarray, predictions: np.ndarray) -> float:
    """Mean of |prediction − age|, years.

    Args:
        ages: True ages, shape `(n,)`, years.
        predictions: Predicted ages, shape `(n,)`, years.

    Raises:
        ValueError: If the arrays are empty or differ in shape.
    """
    return float(np.mean(np.abs(_errors(ages, predictions))))


def regression_metrics(ages: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """MAE, RMSE, median error, CS@5 and bias.

    CS@5, the cumulative score, is the share of faces whose error is at most 5 years. Bias is the
    mean of prediction − age: positive means guessed too old.

    Args:
        ages: True ages, shape `(n,)`, years.
        predictions: Predicted ages, shape `(n,)`, years.

    Raises:
        ValueError: If the arrays are empty or differ in shape.
    """
    errors = _errors(ages, predictions)
    absolute = np.abs(errors)
    return {
        "mae": float(absolute.mean()),
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "median_error": float(np.median(absolute)),
        "cs5": float(np.mean(absolute <= 5)),
        "bias": float(errors.mean()),
    }


def metrics_by_age_band(ages: np.ndarray, predictions: np.ndarray) -> list[dict[str, float | str]]:
    """`regression_metrics` within each of `AGE_BANDS`, with its name and number of faces.

    A face belongs to the band whose whole years contain its age; bands without faces are left
    out.
    """
    rows: list[dict[str, float | str]] = []
    for low, high in AGE_BANDS:
        inside = (ages >= low) & (ages < high + 1)
        if inside.any():
            metrics = regression_metrics(ages[inside], predictions[inside])
            rows.append({"band": f"{low}-{high}", "n": int(inside.sum()), **metrics})
    return rows


def metrics_by_band(
    labels: np.ndarray, predictions: np.ndarray, bands: Sequence[Sequence[int]]
) -> list[dict[str, float | str]]:
    """Returns `regression_metrics` within each band, with its name and its number of labels.

    Bands without labels are left out.

    Args:
        labels: Shape `(n,)`.
        predictions: Shape `(n,)`.
        bands: See `band_of`.
    """
    index = band_of(labels, bands)
    rows: list[dict[str, float | str]] = []
    for band, name in enumerate(band_names(bands)):
        inside = index == band
        if inside.any():
            metrics = regression_metrics(labels[inside], predictions[inside])
            rows.append({"band": name, "n": int(inside.sum()), **metrics})
    return rows


def band_of(labels: np.ndarray, bands: Sequence[Sequence[int]]) -> np.ndarray:
    """Returns the index of each label's band, or -1 where no band contains it.

    A band holds its whole numbers: 4.7 is in the band 0-4.

    Args:
        labels: Shape `(n,)`.
        bands: Rising inclusive ranges of whole numbers that do not overlap.
    """
    lows, highs = np.array(bands).T
    index = np.searchsorted(lows, labels, side="right") - 1
    return np.where((index >= 0) & (labels < highs[index] + 1), index, -1)


def band_names(bands: Sequence[Sequence[int]]) -> list[str]:
    """Returns the name of each band, such as `20-29`."""
    return [f"{low}-{high}" for low, high in bands]


def baseline_metrics(train_ages: np.ndarray, ages: np.ndarray) -> dict[str, float]:
    """MAE of always guessing the mean, or the median, of the training ages, years."""
    return {
        "mean_predictor_mae": mean_absolute_error(ages, np.full(len(ages), train_ages.mean())),
        "median_predictor_mae": mean_absolute_error(
            ages, np.full(len(ages), np.median(train_ages))
        ),
    }


def _errors(ages: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    if ages.shape != predictions.shape or ages.ndim != 1 or ages.size == 0:
        raise ValueError(
            "Ages and predictions must be non-empty vectors of one length. "
            f"Received: shapes {ages.shape} and {predictions.shape}. Fix: pass `(n,)` arrays"
        )
    return predictions.astype(np.float64) - ages.astype(np.float64)
