"""Errors of age predictions, in years."""

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
