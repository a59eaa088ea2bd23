"""Confidence intervals of means."""

import math
from statistics import NormalDist

import numpy as np


def mean_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Returns the normal-theory confidence interval of a mean: mean ± z · s/√n.

    It is too narrow for fewer than about 30 values.

    Args:
        values: Shape `(n,)`.
        confidence: Coverage, in (0, 1).

    Returns:
        Lower and upper end; both NaN for fewer than two values.
    """
    if len(values) < 2:
        return math.nan, math.nan
    z = normal_quantile(0.5 + confidence / 2)
    half = z * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    mean = float(np.mean(values))
    return mean - half, mean + half


def difference_interval(
    these: np.ndarray, those: np.ndarray, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns the normal-theory confidence interval of mean(these) − mean(those).

    The samples are independent; the standard error is Welch's. It is too narrow for fewer than
    about 30 values in either.

    Args:
        these: Shape `(n,)`.
        those: Shape `(m,)`.
        confidence: Coverage, in (0, 1).

    Returns:
        Lower and upper end; both NaN if a sample has fewer than two values.
    """
    if min(len(these), len(those)) < 2:
        return math.nan, math.nan
    z = normal_quantile(0.5 + confidence / 2)
    variances = [float(np.var(values, ddof=1)) / len(values) for values in (these, those)]
    half = z * math.sqrt(sum(variances))
    difference = float(np.mean(these) - np.mean(those))
    return difference - half, difference + half


def normal_quantile(probability: float) -> float:
    """Returns a quantile of the standard normal distribution, `probability` in (0, 1)."""
    return NormalDist().inv_cdf(probability)
