"""What each hyperparameter does to the error, the gap and the time, all else equal."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from src.analysis.hyperparameters import (
    Factor,
    design,
    entangled_with,
    factors,
    in_design,
)
from src.analysis.study_data import StudyData
from src.config.schema import ClaimOutcome
from src.statistics import CrossedFit, Estimate, Faces, Outcome, holm, interaction_p_value

METRICS = {
    ClaimOutcome.val_mae: "best/val_mae",
    ClaimOutcome.gap: "best/gap",
    ClaimOutcome.seconds_per_epoch: "time/seconds_per_epoch",
}
UNITS = {
    ClaimOutcome.val_mae: "years",
    ClaimOutcome.gap: "years",
    ClaimOutcome.seconds_per_epoch: "seconds",
}
LABELS = {
    ClaimOutcome.val_mae: "validation MAE",
    ClaimOutcome.gap: "generalisation gap",
    ClaimOutcome.seconds_per_epoch: "time per epoch",
}
_ALPHA = 0.05
_LEAST_TRIALS_FOR_IMPORTANCE = 20
_NUM_TREES = 50


@dataclass(frozen=True)
class Effect:
    """What changing a hyperparameter does to an outcome, adjusted for the others.

    Attributes:
        key: The hyperparameter.
        outcome: What is moved.
        low: Value that is changed from.
        high: Value that is changed to.
        value: In the outcome's unit; NaN where it cannot be told.
        estimate: With its interval; None where there is none.
        p_adjusted: Holm's, over all effects and interactions; NaN without an estimate.
        confounded_with: Hyperparameters that always changed too; told where there is no value.
    """

    key: str
    outcome: ClaimOutcome
    low: str
    high: str
    value: float
    estimate: Estimate | None
    p_adjusted: float
    confounded_with: tuple[str, ...]

    @property
    def stands(self) -> bool:
        """Whether it is there after correction for all that was looked at."""
        return bool(self.p_adjusted < _ALPHA)


@dataclass(frozen=True)
class Interaction:
    """Two hyperparameters whose effects on an outcome depend on each other.

    Attributes:
        keys: The two.
        outcome: What is moved.
        p_adjusted: Holm's, over all effects and interactions.
        largest: Largest departure of a cell's mean from the sum of the two effects, in the
            outcome's unit, without sign.
    """

    keys: tuple[str, str]
    outcome: ClaimOutcome
    p_adjusted: float
    largest: float

    @property
    def stands(self) -> bool:
        """Whether it is there after correction for all that was looked at."""
        return bool(self.p_adjusted < _ALPHA)


@dataclass(frozen=True)
class Importance:
    """How much of the error's variation a hyperparameter accounts for in a random forest.

    Attributes:
        key: The hyperparameter.
        mean: Drop in R² when its values are shuffled.
        spread: Standard deviation of that over shuffles.
    """

    key: str
    mean: float
    spread: float


@dataclass(frozen=True)
class Effects:
    """All effects of a study.

    Attributes:
        factors: The hyperparameters of the model.
        effects: By outcome and hyperparameter.
        interactions: All pairs that could be tested, the surest first.
        importances: The largest first; empty for too few trials.
        forest_score: R² of the forest on trials that its trees have not seen.
        degrees_of_freedom: What the trials leave to judge their spread by.
        smallest_seen: Effect on validation MAE, years, that a study like this finds four times in
            five, corrections included; NaN where there is no interval.
    """

    factors: tuple[Factor, ...]
    effects: tuple[Effect, ...]
    interactions: tuple[Interaction, ...]
    importances: tuple[Importance, ...]
    forest_score: float
    degrees_of_freedom: int
    smallest_seen: float


def outcome_of(study: StudyData, outcome: ClaimOutcome) -> Outcome:
    """An outcome of the compared trials, with the faces it was measured on where known."""
    values = study.values(METRICS[outcome])
    parts: list[Faces] = []
    if outcome is not ClaimOutcome.seconds_per_epoch and "val" in study.measured:
        parts.append(Faces(study.measured["val"].errors, 1))
    if outcome is ClaimOutcome.gap and parts:
        if "train" not in study.measured:
            return Outcome(values)
        parts.append(Faces(study.measured["train"].errors, -1))
    return Outcome(values, [part for part in parts if part.errors.shape[1] > 1])


def estimate_effects(study: StudyData) -> Effects:
    """Fit a model of main effects for each outcome."""
    model = factors(study.compared, study.keys)
    if not model:
        return Effects((), (), (), (), np.nan, 0, np.nan)
    matrix = design(model, len(study.compared))
    effects: list[Effect] = []
    tested: list[Interaction] = []
    freedom = 0
    for outcome in ClaimOutcome:
        data = outcome_of(study, outcome)
        if not np.isfinite(data.values).all():
            continue
        fit = CrossedFit(matrix, data)
        freedom = fit.degrees_of_freedom
        effects += _main_effects(model, fit, outcome)
        tested += _interactions(model, matrix, data.values, outcome)
    importances, score = _importances(model, study.values("best/val_mae"))
    corrected, pairs = _corrected(effects, tested)
    return Effects(
        factors=model,
        effects=corrected,
        interactions=pairs,
        importances=importances,
        forest_score=score,
        degrees_of_freedom=freedom,
        smallest_seen=_smallest_seen(corrected, len(pairs)),
    )


def _main_effects(model: Sequence[Factor], fit: CrossedFit, outcome: ClaimOutcome) -> list[Effect]:
    rows = []
    for factor in model:
        for contrast in factor.contrasts:
            weights = in_design(model, factor, contrast.weights)
            can_tell = fit.is_estimable(weights)
            rows.append(
                Effect(
                    factor.key, outcome, contrast.low, contrast.high,
                    fit.value(weights) if can_tell else np.nan,
                    fit.estimate(weights) if can_tell else None,
                    np.nan,
                    () if can_tell else entangled_with(model, factor, fit, weights),
                )
            )  # fmt: skip
    return rows


def _interactions(
    model: Sequence[Factor], matrix: np.ndarray, values: np.ndarray, outcome: ClaimOutcome
) -> list[Interaction]:
    rows = []
    for one, other in itertools.combinations(model, 2):
        products = np.einsum("ti,tj->tij", one.terms, other.terms).reshape(len(values), -1)
        p_value = interaction_p_value(matrix, products, values)
        if p_value is not None:
            both = np.hstack([matrix, products])
            fitted, fitted_both = (m @ (np.linalg.pinv(m) @ values) for m in (matrix, both))
            largest = float(np.abs(fitted_both - fitted).max())
            rows.append(Interaction((one.key, other.key), outcome, p_value, largest))
    return rows


def _corrected(
    effects: Sequence[Effect], tested: Sequence[Interaction]
) -> tuple[tuple[Effect, ...], tuple[Interaction, ...]]:
    """One family: a reader looks at all of them, and would remember the one that stood out."""
    told = [effect for effect in effects if effect.estimate]
    p_values = [effect.estimate.p_value for effect in told if effect.estimate]
    adjusted = iter(holm([*p_values, *(interaction.p_adjusted for interaction in tested)]))
    corrected = tuple(
        replace(effect, p_adjusted=float(next(adjusted))) if effect.estimate else effect
        for effect in effects
    )
    pairs = [replace(interaction, p_adjusted=float(next(adjusted))) for interaction in tested]
    return corrected, tuple(sorted(pairs, key=lambda pair: pair.p_adjusted))


def _smallest_seen(effects: Sequence[Effect], num_pairs: int) -> float:
    """With a power of 80 %, where the first step of Holm's correction has to be passed."""
    told = [effect for effect in effects if effect.estimate]
    estimates = [e.estimate for e in told if e.estimate and e.outcome is ClaimOutcome.val_mae]
    if not estimates:
        return np.nan
    error = float(np.median([estimate.standard_error for estimate in estimates]))
    freedom = float(np.median([estimate.degrees_of_freedom for estimate in estimates]))
    tail = 1 - _ALPHA / 2 / (len(told) + num_pairs)
    return float(special.stdtrit(freedom, tail) + special.stdtrit(freedom, 0.8)) * error


def _importances(
    model: Sequence[Factor], values: np.ndarray
) -> tuple[tuple[Importance, ...], float]:
    """Permutation importance (Breiman 2001), as scikit-learn has it."""
    if len(values) < _LEAST_TRIALS_FOR_IMPORTANCE or np.ptp(values) == 0:
        return (), np.nan
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    places = np.column_stack([factor.places for factor in model])
    forest = RandomForestRegressor(_NUM_TREES, oob_score=True, random_state=0, min_samples_leaf=2)
    forest.fit(places, values)
    found = permutation_importance(forest, places, values, n_repeats=10, random_state=0)
    rows = [
        Importance(factor.key, float(mean), float(spread))
        for factor, mean, spread in zip(
            model, found["importances_mean"], found["importances_std"], strict=True
        )
    ]
    return tuple(sorted(rows, key=lambda row: -row.mean)), float(forest.oob_score_)
