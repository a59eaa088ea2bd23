"""Effects of hyperparameters, where every trial is measured on the same faces.

Two things make an effect uncertain: another training of the same configuration would come out
differently, and other faces would. Trials are rows, faces are columns, and both are drawn at
random; their variances add, less what both contain (two-way crossed errors: Cameron, Gelbach and
Miller 2011, J. Bus. Econ. Stat. 29; degrees of freedom: Satterthwaite 1946).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Faces:
    """What each trial was measured on.

    Attributes:
        errors: Shape `(num_trials, num_faces)`, years.
        sign: How their mean enters the outcome: +1 or −1.
    """

    errors: np.ndarray
    sign: int = 1


@dataclass(frozen=True)
class Outcome:
    """One number for each trial.

    Attributes:
        values: Shape `(num_trials,)`.
        faces: Parts of the data whose means add up to the values; empty where the outcome has
            nothing to do with faces, or where they were not kept.
    """

    values: np.ndarray
    faces: Sequence[Faces] = ()


@dataclass(frozen=True)
class Estimate:
    """An effect.

    Attributes:
        value: In the outcome's unit.
        low: Lower end of its interval.
        high: Upper end.
        p_value: Of no effect, two-sided.
        standard_error: In the outcome's unit.
        degrees_of_freedom: Of the standard error.
    """

    value: float
    low: float
    high: float
    p_value: float
    standard_error: float
    degrees_of_freedom: float

    @classmethod
    def of_normal(cls, value: float, standard_error: float, confidence: float = 0.95) -> "Estimate":
        """Of a number whose standard error is known well."""
        return _estimate(value, standard_error**2, 1e9, confidence)

    def at(self, confidence: float) -> "Estimate":
        """With an interval of another coverage, in (0, 1)."""
        return _estimate(self.value, self.standard_error**2, self.degrees_of_freedom, confidence)


class CrossedFit:
    """A linear model of an outcome, fitted by least squares.

    Attributes:
        degrees_of_freedom: Trials less what the model needs of them; at 0 nothing is left to
            judge the spread of trials by.
    """

    def __init__(self, design: np.ndarray, outcome: Outcome) -> None:
        """Fit.

        Args:
            design: Shape `(num_trials, num_terms)`; it may be short of full rank.
            outcome: Finite.
        """
        self._design = design
        self._outcome = outcome
        self._inverse = np.linalg.pinv(design)
        rank = int(np.linalg.matrix_rank(design))
        self.degrees_of_freedom = len(design) - rank

    def is_estimable(self, contrast: np.ndarray) -> bool:
        """Whether the trials tell this combination of terms from the others.

        It is where the combination lies in the row space of the design; else other terms always
        changed along with it.
        """
        return bool(np.abs(self.untold(contrast)).max() <= 1e-6 * np.abs(contrast).max())

    def untold(self, contrast: np.ndarray) -> np.ndarray:
        """What of the combination no trial tells, by term; zeros where it is estimable."""
        return np.asarray(contrast - contrast @ self._inverse @ self._design)

    def value(self, contrast: np.ndarray) -> float:
        """The combination's least-squares value, in the outcome's unit."""
        return float(contrast @ self._inverse @ self._outcome.values)

    def estimate(self, contrast: np.ndarray, confidence: float = 0.95) -> Estimate | None:
        """The combination with its interval, over other trainings and other faces.

        Returns:
            None where the combination cannot be told from others, or no degree of freedom is
            left.
        """
        if self.degrees_of_freedom == 0 or not self.is_estimable(contrast):
            return None
        return self._weighted(contrast @ self._inverse, confidence)

    def mean_of(self, weights: np.ndarray, confidence: float = 0.95) -> Estimate | None:
        """A weighted mean of the trials' own outcomes, whatever the model makes of them.

        Where no degree of freedom is left, the interval is over other faces alone: it speaks of
        these trained models.

        Args:
            weights: Shape `(num_trials,)`.
            confidence: Coverage, in (0, 1).

        Returns:
            None where there are no faces either.
        """
        if self.degrees_of_freedom == 0 and not self._outcome.faces:
            return None
        return self._weighted(weights, confidence)

    def _weighted(self, weights: np.ndarray, confidence: float) -> Estimate:
        leverage = float(weights @ weights)
        between_trials, from_faces = self._variances
        variance = max(between_trials - from_faces, 0.0) * leverage  # faces are added below
        spread = 0.0
        if self.degrees_of_freedom:
            spread = (between_trials * leverage) ** 2 / self.degrees_of_freedom
        for faces in self._outcome.faces:
            by_face = weights @ faces.errors
            part = float(by_face.var(ddof=1)) / len(by_face)
            variance += part
            spread += part**2 / (len(by_face) - 1)
        freedom = variance**2 / spread if spread > 0 else max(self.degrees_of_freedom, 1)
        if self.degrees_of_freedom == 1:  # such a spread is too rough to be weighed (simulated)
            freedom = 1.0
        return _estimate(float(weights @ self._outcome.values), variance, freedom, confidence)

    @cached_property
    def _variances(self) -> tuple[float, float]:
        """Of a trial around the model, and the part of it that comes from the faces it met."""
        if self.degrees_of_freedom == 0:
            return 0.0, 0.0
        residuals = self._around(self._outcome.values)
        between_trials = float(residuals @ residuals) / self.degrees_of_freedom
        from_faces = 0.0
        for faces in self._outcome.faces:
            by_face = self._around(faces.errors)
            by_face -= by_face.mean(axis=1, keepdims=True)
            count = faces.errors.shape[1]
            noise = float(np.sum(by_face**2)) / (self.degrees_of_freedom * (count - 1))
            from_faces += noise / count
        return between_trials, from_faces

    def _around(self, values: np.ndarray) -> np.ndarray:
        """What the model leaves of values that have a row for each trial."""
        return np.asarray(values - self._design @ (self._inverse @ values))


def interaction_p_value(
    design: np.ndarray, products: np.ndarray, values: np.ndarray
) -> float | None:
    """F test of whether terms beside those of a design explain more than chance.

    Args:
        design: Shape `(num_trials, num_terms)`.
        products: Further terms, shape `(num_trials, k)`.
        values: The outcome, shape `(num_trials,)`.

    Returns:
        None where the further terms add nothing new, or leave no degree of freedom.
    """
    both = np.hstack([design, products])
    rank, rank_both = (int(np.linalg.matrix_rank(matrix)) for matrix in (design, both))
    extra, freedom = rank_both - rank, len(values) - rank_both
    if extra == 0 or freedom < 1:
        return None
    left, left_both = (_squares_left(matrix, values) for matrix in (design, both))
    if left_both <= _TOLERANCE * max(left, _TOLERANCE):
        return 0.0 if left > _TOLERANCE else 1.0
    statistic = (left - left_both) / extra / (left_both / freedom)
    return float(special.fdtrc(extra, freedom, max(statistic, 0.0)))


def _squares_left(design: np.ndarray, values: np.ndarray) -> float:
    residuals = values - design @ (np.linalg.pinv(design) @ values)
    return float(residuals @ residuals)


def _estimate(value: float, variance: float, freedom: float, confidence: float) -> Estimate:
    error = math.sqrt(variance)
    if error <= _TOLERANCE * max(1.0, abs(value)):  # trials without any spread
        p_value = 1.0 if abs(value) <= _TOLERANCE else 0.0
        return Estimate(value, value, value, p_value, error, freedom)
    half = float(special.stdtrit(freedom, 0.5 + confidence / 2)) * error
    p_value = 2 * float(special.stdtr(freedom, -abs(value) / error))
    return Estimate(value, value - half, value + half, p_value, error, freedom)
