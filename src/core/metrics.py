"""Errors of predictions, in the unit of the target."""

from collections.abc import Sequence

import numpy as np

Bands = Sequence[Sequence[int]]
"""Inclusive least and greatest whole number of each band, rising."""


def mean_absolute_error(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Returns the mean of |prediction − label|.

    Args:
        labels: True values, shape `(n,)`.
        predictions: Predicted values, shape `(n,)`.

    Raises:
        ValueError: If the arrays are empty or differ in shape.
    """
    return float(np.mean(np.abs(_errors(labels, predictions))))


def regression_metrics(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Returns MAE, RMSE, median error, CS@5 and bias.

    CS@5, the cumulative score, is the share of faces whose error is at most 5 units. Bias is the
    mean of prediction − label: positive means that predictions are too high.

    Args:
        labels: True values, shape `(n,)`.
        predictions: Predicted values, shape `(n,)`.

    Raises:
        ValueError: If the arrays are empty or differ in shape.
    """
    errors = _errors(labels, predictions)
    absolute = np.abs(errors)
    return {
        "mae": float(absolute.mean()),
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "median_error": float(np.median(absolute)),
        "cs5": float(np.mean(absolute <= 5)),
        "bias": float(errors.mean()),
    }


def band_of(values: np.ndarray, bands: Bands) -> np.ndarray:
    """Returns the index of the band of each value, −1 for a value in no band, shape `(n,)`.

    A band holds the values whose whole part it contains: [5, 12] holds 12.9.
    """
    lows = np.array([low for low, _ in bands])
    ends = np.array([high + 1 for _, high in bands])
    index = np.searchsorted(lows, values, side="right") - 1
    return np.where((index >= 0) & (np.asarray(values) < ends[index]), index, -1)


def band_name(low: int, high: int) -> str:
    """Returns the name of a band in stored tables, such as `5-12`."""
    return f"{low}-{high}"


def metrics_by_band(
    labels: np.ndarray, predictions: np.ndarray, bands: Bands
) -> list[dict[str, float | str]]:
    """Returns `regression_metrics` of each band that has faces, with its name and their number."""
    rows: list[dict[str, float | str]] = []
    index = band_of(labels, bands)
    for number, (low, high) in enumerate(bands):
        inside = index == number
        if inside.any():
            metrics = regression_metrics(labels[inside], predictions[inside])
            rows.append({"band": band_name(low, high), "n": int(inside.sum()), **metrics})
    return rows


def baseline_metrics(train_labels: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns the MAE of always predicting the mean, or the median, of the training labels."""
    return {
        f"{name}_predictor_mae": mean_absolute_error(labels, np.full(len(labels), value))
        for name, value in (("mean", train_labels.mean()), ("median", np.median(train_labels)))
    }


def _errors(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    if labels.shape != predictions.shape or labels.ndim != 1 or labels.size == 0:
        raise ValueError(
            "Labels and predictions must be non-empty vectors of one length. Received: shapes "
            f"{labels.shape} and {predictions.shape}. Fix: pass `(n,)` arrays"
        )
    return predictions.astype(np.float64) - labels.astype(np.float64)
