"""Effects of hyperparameters in trials that are measured on the same faces.

An effect varies with the training and with the faces. Trials are rows, faces are columns, and both
are drawn at random; their variances add, minus the part that both contain (two-way crossed errors:
Cameron, Gelbach and Miller 2011, J. Bus. Econ. Stat. 29; degrees of freedom: Satterthwaite 1946).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Outcome:
    """One number for each trial.

    Attributes:
        values: Shape `(num_trials,)`.
        errors: Errors on single faces, one array of shape `(num_trials, num_faces)` for each part
            of the data whose mean is added to the values or subtracted from them; empty if the
            outcome does not depend on faces, or if these errors were not kept.
    """

    values: np.ndarray
    errors: Sequence[np.ndarray] = ()


@dataclass(frozen=True)
class Estimate:
    """An effect with its interval.

    Attributes:
        value: In the outcome's unit.
        low: Lower end of its interval.
        high: Upper end.
        p_value: Two-sided, for the hypothesis of no effect.
        standard_error: In the outcome's unit.
        degrees_of_freedom: Of the standard error.
    """

    value: float
    low: float
    high: float
    p_value: float
    standard_error: float
    degrees_of_freedom: float


class CrossedFit:
    """A linear model of an outcome, fitted by least squares.

    Attributes:
        degrees_of_freedom: Trials minus the rank of the design; at 0 the variance between trials
            is unknown.
        outcome: The modelled outcome.
    """

    def __init__(self, design: np.ndarray, outcome: Outcome) -> None:
        """Fits the model.

        Args:
            design: Shape `(num_trials, num_terms)`, of any rank.
            outcome: Finite.
        """
        self._design = design
        self.outcome = outcome
        self._inverse = np.linalg.pinv(design)
        self.degrees_of_freedom = len(design) - int(np.linalg.matrix_rank(design))

    def is_estimable(self, contrast: np.ndarray) -> bool:
        """Returns whether the trials identify this combination of terms.

        It must be in the row space of the design; else other terms always changed with it.
        """
        return bool(np.abs(self.unidentified(contrast)).max() <= 1e-6 * np.abs(contrast).max())

    def unidentified(self, contrast: np.ndarray) -> np.ndarray:
        """Returns the part of the combination that no trial identifies, by term."""
        return np.asarray(contrast - contrast @ self._inverse @ self._design)

    def value(self, contrast: np.ndarray) -> float:
        """Returns the combination's least-squares value; NaN if it is not estimable."""
        value = float(contrast @ self._inverse @ self.outcome.values)
        return value if self.is_estimable(contrast) else math.nan

    def estimate(self, contrast: np.ndarray, confidence: float = 0.95) -> Estimate | None:
        """Returns the combination with its interval over other trainings and other faces.

        None if the combination is not estimable, or no degree of freedom is left.
        """
        if self.degrees_of_freedom == 0 or not self.is_estimable(contrast):
            return None
        return self._weighted(contrast @ self._inverse, confidence)

    def mean_of(self, weights: np.ndarray, confidence: float) -> Estimate | None:
        """Returns a weighted mean of the trials' own outcomes; None if it has no interval.

        Without a degree of freedom the interval is over other faces only, for these trained
        models; without faces either, there is none.

        Args:
            weights: Shape `(num_trials,)`.
            confidence: Coverage, in (0, 1).
        """
        if self.degrees_of_freedom == 0 and not self.outcome.errors:
            return None
        return self._weighted(weights, confidence)

    def _weighted(self, weights: np.ndarray, confidence: float) -> Estimate:
        leverage = float(weights @ weights)
        between_trials, from_faces = self._variances
        variance = max(between_trials - from_faces, 0.0) * leverage  # faces are added below
        spread = 0.0
        if self.degrees_of_freedom:
            spread = (between_trials * leverage) ** 2 / self.degrees_of_freedom
        for errors in self.outcome.errors:
            by_face = weights @ errors
            part = float(by_face.var(ddof=1)) / len(by_face)
            variance += part
            spread += part**2 / (len(by_face) - 1)
        freedom = variance**2 / spread if spread > 0 else max(self.degrees_of_freedom, 1)
        if self.degrees_of_freedom == 1:  # simulations: too few to weigh the variances
            freedom = 1.0
        return estimate_of(float(weights @ self.outcome.values), variance, freedom, confidence)

    @cached_property
    def _variances(self) -> tuple[float, float]:
        """Variance of a trial around the model, and the part of it that comes from faces."""
        if self.degrees_of_freedom == 0:
            return 0.0, 0.0
        residuals = self._around(self.outcome.values)
        between_trials = float(residuals @ residuals) / self.degrees_of_freedom
        from_faces = 0.0
        for errors in self.outcome.errors:
            by_face = self._around(errors)
            by_face -= by_face.mean(axis=1, keepdims=True)
            count = errors.shape[1]
            noise = float(np.sum(by_face**2)) / (self.degrees_of_freedom * (count - 1))
            from_faces += noise / count
        return between_trials, from_faces

    def _around(self, values: np.ndarray) -> np.ndarray:
        """Returns the residuals of values that have a row for each trial."""
        return np.asarray(values - self._design @ (self._inverse @ values))


def interaction_test(
    design: np.ndarray, products: np.ndarray, values: np.ndarray
) -> tuple[float, float] | None:
    """Returns the p-value of an F test of further terms, and the largest change of a fitted value.

    None if the further terms add nothing to the rank, or leave no degree of freedom.

    Args:
        design: Shape `(num_trials, num_terms)`.
        products: Further terms, shape `(num_trials, k)`.
        values: The outcome, shape `(num_trials,)`.
    """
    matrices = design, np.hstack([design, products])
    rank, rank_both = (int(np.linalg.matrix_rank(matrix)) for matrix in matrices)
    extra, freedom = rank_both - rank, len(values) - rank_both
    if extra == 0 or freedom < 1:
        return None
    fitted, fitted_both = (matrix @ (np.linalg.pinv(matrix) @ values) for matrix in matrices)
    left, left_both = (float(each @ each) for each in (values - fitted, values - fitted_both))
    largest = float(np.abs(fitted_both - fitted).max())
    if left_both <= _TOLERANCE * max(left, _TOLERANCE):
        return 0.0 if left > _TOLERANCE else 1.0, largest
    statistic = (left - left_both) / extra / (left_both / freedom)
    return float(special.fdtrc(extra, freedom, max(statistic, 0.0))), largest


def estimate_of(value: float, variance: float, freedom: float, confidence: float) -> Estimate:
    """Returns a number with its interval.

    Args:
        value: In any unit.
        variance: Its squared standard error.
        freedom: Degrees of freedom of the variance; very many where it is known.
        confidence: Coverage, in (0, 1).
    """
    error = math.sqrt(variance)
    if error <= _TOLERANCE * max(1.0, abs(value)):  # trials without variance
        p_value = 1.0 if abs(value) <= _TOLERANCE else 0.0
        return Estimate(value, value, value, p_value, error, freedom)
    half = float(special.stdtrit(freedom, 0.5 + confidence / 2)) * error
    p_value = 2 * float(special.stdtr(freedom, -abs(value) / error))
    return Estimate(value, value - half, value + half, p_value, error, freedom)
