"""Hyperparameters as factors of a linear model of the trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from src.analysis.formatting import short
from src.records.trial import TrialRecord
from src.statistics.crossed import CrossedFit

_MAX_LEVELS = 6  # more numeric values than this are modelled by a slope, fewer by levels
_LOGARITHMIC_RATIO = 8  # between the largest and the smallest value


@dataclass(frozen=True)
class Contrast:
    """A difference between two values of a factor.

    Attributes:
        low: The reference value, such as `1e-05`.
        high: The value that is compared with it, such as `0.0003`.
        weights: One for each of the factor's own terms.
    """

    low: str
    high: str
    weights: np.ndarray


@dataclass(frozen=True)
class Factor:
    """A hyperparameter with its value in each trial.

    Attributes:
        key: Such as `optimizer.learning_rate`.
        texts: Its value in each trial, as recorded.
    """

    key: str
    texts: tuple[str, ...]

    @property
    def label(self) -> str:
        """Last word of the key."""
        return short(self.key)

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """Values as numbers, shape `(num_trials,)`, True being 1; None if some are not numeric."""
        if set(self.texts) <= {"False", "True"}:
            return np.array([float(text == "True") for text in self.texts])
        try:
            values = np.array([float(text) for text in self.texts])
        except ValueError:
            return None
        return values if np.isfinite(values).all() else None

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Distinct values, in numeric order where they are numbers."""
        sizes = [0.0] * len(self.texts) if self.numbers is None else self.numbers
        return tuple(text for _, text in sorted(set(zip(sizes, self.texts, strict=True))))

    @property
    def is_logarithmic(self) -> bool:
        """True if the axis is logarithmic: all values are positive, and far apart."""
        values = self.numbers
        if values is None or values.min() <= 0:
            return False
        return bool(values.max() / values.min() >= _LOGARITHMIC_RATIO)

    @cached_property
    def positions(self) -> np.ndarray:
        """Position of each trial on an axis: the number, its log10, or its level's index."""
        if self.numbers is None:
            return np.array([self.levels.index(text) for text in self.texts], float)
        return np.log10(self.numbers) if self.is_logarithmic else self.numbers

    @cached_property
    def level_positions(self) -> np.ndarray:
        """Position of each level on an axis."""
        return np.array([self.positions[self.texts.index(level)] for level in self.levels])

    @property
    def is_line(self) -> bool:
        """True if the model has a slope instead of levels."""
        return self.numbers is not None and len(self.levels) > _MAX_LEVELS

    @cached_property
    def terms(self) -> np.ndarray:
        """Design columns, shape `(num_trials, k)`: centred position, or dummies of levels."""
        if self.is_line:
            return (self.positions - self.positions.mean())[:, None]
        columns = [[text == level for text in self.texts] for level in self.levels[1:]]
        return np.array(columns, float).T

    @cached_property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Each level against the first; the ends of a line."""
        if self.is_line and self.trend:
            return (self.trend,)
        unit = np.eye(len(self.levels) - 1)
        return tuple(
            Contrast(self.levels[0], level, weights)
            for level, weights in zip(self.levels[1:], unit, strict=True)
        )

    @cached_property
    def trend(self) -> Contrast | None:
        """The lowest value against the highest along a straight line.

        For levels it is the least-squares line through their effects. None if the values are not
        numeric: they have no order.
        """
        if self.numbers is None:
            return None
        low, high = self.levels[0], self.levels[-1]
        span = float(np.ptp(self.positions))
        if self.is_line:
            return Contrast(low, high, np.array([span]))
        if len(self.levels) == 2:
            return self.contrasts[0]
        centred = self.level_positions - self.level_positions.mean()
        return Contrast(low, high, (centred / (centred @ centred) * span)[1:])


def factors(trials: Sequence[TrialRecord], keys: Sequence[str]) -> tuple[Factor, ...]:
    """Returns the hyperparameters of these trials."""
    return tuple(Factor(key, tuple(trial.params.get(key, "") for trial in trials)) for key in keys)


def design(model: Sequence[Factor], num_trials: int) -> np.ndarray:
    """Returns the design matrix: a constant and all terms, shape `(num_trials, num_terms)`."""
    return np.hstack([np.ones((num_trials, 1)), *(factor.terms for factor in model)])


def in_design(model: Sequence[Factor], factor: Factor, weights: np.ndarray) -> np.ndarray:
    """Returns a factor's weights as weights of the whole design."""
    owners = _owners(model)
    whole = np.zeros(len(owners))
    whole[owners == model.index(factor)] = weights
    return whole


def _owners(model: Sequence[Factor]) -> np.ndarray:
    """Returns the index of the factor of each column of the design; −1 for the constant."""
    return np.repeat(range(-1, len(model)), [1, *(each.terms.shape[1] for each in model)])


def confounded_with(
    model: Sequence[Factor], factor: Factor, fit: CrossedFit, weights: np.ndarray
) -> tuple[str, ...]:
    """Returns the hyperparameters that a contrast is confounded with; none if it is estimable.

    Those that always changed with it, if there are any; else those whose terms are in the part of
    the contrast that the trials do not identify.
    """
    if fit.is_estimable(weights):
        return ()
    together = always_changed_with(model, factor)
    if together:
        return together
    unidentified = _owners(model)[np.abs(fit.unidentified(weights)) > 1e-6]
    return tuple(
        each.key for index, each in enumerate(model) if each is not factor and index in unidentified
    )


def always_changed_with(model: Sequence[Factor], factor: Factor) -> tuple[str, ...]:
    """Returns the hyperparameters that differ in every pair of trials that differs in this one."""
    differs = {each.key: np.not_equal.outer(each.texts, each.texts) for each in model}
    pairs = differs.pop(factor.key)
    return tuple(key for key, its in differs.items() if its[pairs].all())
