"""How sure a mean is."""

import math
from statistics import NormalDist

import numpy as np


def mean_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Normal-theory confidence interval of a mean: mean ± z · s/√n.

    For the absolute errors of 1,897 faces with MAE 6.29 it gives about ±0.24 years. Under some
    30 values it is too narrow.

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
    """Normal-theory confidence interval of mean(these) − mean(those), independent samples.

    Welch's standard error; under some 30 values in either it is too narrow.

    Args:
        these: Shape `(n,)`.
        those: Shape `(m,)`.
        confidence: Coverage, in (0, 1).

    Returns:
        Lower and upper end; both NaN where a sample has fewer than two values.
    """
    if min(len(these), len(those)) < 2:
        return math.nan, math.nan
    z = normal_quantile(0.5 + confidence / 2)
    variances = [float(np.var(values, ddof=1)) / len(values) for values in (these, those)]
    half = z * math.sqrt(sum(variances))
    difference = float(np.mean(these) - np.mean(those))
    return difference - half, difference + half


def normal_quantile(probability: float) -> float:
    """Of the standard normal distribution, `probability` in (0, 1)."""
    return NormalDist().inv_cdf(probability)
