"""How hyperparameters enter a linear model of the trials."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from src.records.trial import TrialRecord
from src.statistics import CrossedFit

_MOST_LEVELS = 6  # more values than this are a line, fewer are levels of their own
_LOGARITHMIC_RATIO = 8  # between the largest and the smallest value


@dataclass(frozen=True)
class Contrast:
    """A question to the model.

    Attributes:
        low: What is compared with, such as `1e-05`.
        high: What is compared, such as `0.0003`.
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
        """The key's last word."""
        return self.key.rpartition(".")[2]

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """The values as numbers, shape `(num_trials,)`, yes being 1; None where some are none."""
        if set(self.texts) <= {"False", "True"}:
            return np.array([float(text == "True") for text in self.texts])
        try:
            values = np.array([float(text) for text in self.texts])
        except ValueError:
            return None
        return values if np.isfinite(values).all() else None

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Distinct values, by size where they are numbers."""
        if self.numbers is None:
            return tuple(sorted(set(self.texts)))
        sizes = dict(zip(self.texts, self.numbers, strict=True))
        return tuple(sorted(sizes, key=lambda text: (sizes[text], text)))

    @property
    def is_logarithmic(self) -> bool:
        """Whether steps are factors: all values positive, and far apart."""
        values = self.numbers
        return (
            values is not None
            and bool(values.min() > 0)
            and bool(values.max() / values.min() >= _LOGARITHMIC_RATIO)
        )

    @cached_property
    def places(self) -> np.ndarray:
        """Where each trial lies on an axis: the number, its log10, or its level's index."""
        if self.numbers is None:
            return np.array([self.levels.index(text) for text in self.texts], float)
        return np.log10(self.numbers) if self.is_logarithmic else self.numbers

    @property
    def is_line(self) -> bool:
        """Whether the model sees a slope instead of levels."""
        return self.numbers is not None and len(self.levels) > _MOST_LEVELS

    @cached_property
    def terms(self) -> np.ndarray:
        """Columns of the design, shape `(num_trials, k)`: centred place, or dummies of levels."""
        if self.is_line:
            return (self.places - self.places.mean())[:, None]
        columns = [[text == level for text in self.texts] for level in self.levels[1:]]
        return np.array(columns, float).T

    @cached_property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Each level against the first; of a line, its ends."""
        if self.is_line:
            return (self.trend,) if self.trend else ()
        unit = np.eye(len(self.levels) - 1)
        return tuple(
            Contrast(self.levels[0], level, unit[place])
            for place, level in enumerate(self.levels[1:])
        )

    @cached_property
    def trend(self) -> Contrast | None:
        """From the lowest value to the highest along a straight line.

        Of levels: the least-squares line through their effects. None of what are no numbers:
        "raising" them means nothing.
        """
        if self.numbers is None:
            return None
        low, high = self.levels[0], self.levels[-1]
        span = float(np.ptp(self.places))
        if self.is_line:
            return Contrast(low, high, np.array([span]))
        if len(self.levels) == 2:
            return self.contrasts[0]
        places = np.array([self.places[self.texts.index(level)] for level in self.levels])
        centred = places - places.mean()
        return Contrast(low, high, (centred / (centred @ centred) * span)[1:])


def factors(trials: Sequence[TrialRecord], keys: Sequence[str]) -> tuple[Factor, ...]:
    """The hyperparameters of these trials."""
    return tuple(Factor(key, tuple(trial.params.get(key, "") for trial in trials)) for key in keys)


def design(model: Sequence[Factor], num_trials: int) -> np.ndarray:
    """A constant and all terms, shape `(num_trials, num_terms)`."""
    return np.hstack([np.ones((num_trials, 1)), *(factor.terms for factor in model)])


def in_design(model: Sequence[Factor], factor: Factor, weights: np.ndarray) -> np.ndarray:
    """A factor's weights among those of the whole design."""
    whole = np.zeros(1 + sum(each.terms.shape[1] for each in model))
    whole[_place(model, factor)] = weights
    return whole


def _place(model: Sequence[Factor], factor: Factor) -> slice:
    """Where a factor's terms stand in the design."""
    start = 1
    for each in model:
        width = each.terms.shape[1]
        if each is factor:
            return slice(start, start + width)
        start += width
    raise ValueError(f"{factor.key} is not in the model")


def entangled_with(
    model: Sequence[Factor], factor: Factor, fit: CrossedFit, weights: np.ndarray
) -> tuple[str, ...]:
    """Hyperparameters that a contrast cannot be told from.

    Those that always changed with it, if there are any; else those whose terms stand in what no
    trial tells.
    """
    together = always_changed_with(model, factor)
    if together:
        return together
    untold = fit.untold(weights)
    return tuple(
        each.key
        for each in model
        if each is not factor and np.abs(untold[_place(model, each)]).max() > 1e-6
    )


def always_changed_with(model: Sequence[Factor], factor: Factor) -> tuple[str, ...]:
    """Hyperparameters that no pair of trials keeps while it changes this one."""
    pairs = [
        (one, other)
        for one, other in itertools.combinations(range(len(factor.texts)), 2)
        if factor.texts[one] != factor.texts[other]
    ]
    return tuple(
        each.key
        for each in model
        if each is not factor and all(each.texts[one] != each.texts[other] for one, other in pairs)
    )
