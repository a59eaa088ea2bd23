"""Normal-theory 95 % confidence intervals of means."""

import math
from statistics import NormalDist

import numpy as np

Z_95 = NormalDist().inv_cdf(0.975)
"""Half the width of a 95 % interval, in standard errors."""


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % confidence interval of a mean: mean ± z · s/√n.

    It is too narrow for fewer than about 30 values.

    Args:
        values: Shape `(n,)`.

    Returns:
        Lower and upper end; both NaN for fewer than two values.
    """
    if len(values) < 2:
        return math.nan, math.nan
    half = Z_95 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    mean = float(np.mean(values))
    return mean - half, mean + half


def difference_interval(these: np.ndarray, those: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % confidence interval of mean(these) − mean(those).

    The samples are independent; the standard error is Welch's. It is too narrow for fewer than
    about 30 values in either.

    Args:
        these: Shape `(n,)`.
        those: Shape `(m,)`.

    Returns:
        Lower and upper end; both NaN if a sample has fewer than two values.
    """
    if min(len(these), len(those)) < 2:
        return math.nan, math.nan
    variances = [float(np.var(values, ddof=1)) / len(values) for values in (these, those)]
    half = Z_95 * math.sqrt(sum(variances))
    difference = float(np.mean(these) - np.mean(those))
    return difference - half, difference + half
