"""Effect of each hyperparameter on error, gap and time, adjusted for the others."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import special

from src.analysis.effects.hyperparameters import Factor, confounded_with, design, factors, in_design
from src.analysis.study_data import StudyData
from src.config.study_schema import ClaimOutcome
from src.core import names
from src.records.terms import Terms
from src.statistics.comparison import holm
from src.statistics.crossed import CrossedFit, Estimate, Outcome, interaction_test

METRICS = {
    ClaimOutcome.val_mae: names.BEST_VAL_MAE,
    ClaimOutcome.gap: names.BEST_GAP,
    ClaimOutcome.seconds_per_epoch: names.SECONDS_PER_EPOCH,
}
LABELS = {
    ClaimOutcome.val_mae: "validation MAE",
    ClaimOutcome.gap: "generalisation gap",
    ClaimOutcome.seconds_per_epoch: "time per epoch",
}
ALPHA = 0.05
"""Effects and interactions with a smaller adjusted p-value are significant."""

_PARTS = {ClaimOutcome.val_mae: ("val",), ClaimOutcome.gap: ("val", "train")}
_MIN_TRIALS_FOR_IMPORTANCE = 20
_NUM_TREES = 50


@dataclass(frozen=True)
class Effect:
    """Effect of a change of a hyperparameter on an outcome, adjusted for the others.

    Attributes:
        key: The hyperparameter.
        outcome: The outcome.
        low: Value that is changed from.
        high: Value that is changed to.
        value: In the outcome's unit; NaN if the trials do not identify it.
        estimate: With its interval; None where there is none.
        p_adjusted: Holm's, over all effects and interactions; NaN without an estimate.
        confounded_with: Hyperparameters that always changed too; empty if there is a value.
    """

    key: str
    outcome: ClaimOutcome
    low: str
    high: str
    value: float
    estimate: Estimate | None
    p_adjusted: float
    confounded_with: tuple[str, ...]


@dataclass(frozen=True)
class Interaction:
    """Interaction of two hyperparameters in an outcome.

    Attributes:
        keys: The two hyperparameters.
        outcome: The outcome.
        p_adjusted: Holm's, over all effects and interactions.
        largest: Largest deviation of a cell's mean from the sum of the two effects, in the
            outcome's unit, without sign.
    """

    keys: tuple[str, str]
    outcome: ClaimOutcome
    p_adjusted: float
    largest: float


@dataclass(frozen=True)
class Effects:
    """All effects of a study.

    Attributes:
        factors: The hyperparameters of the model.
        effects: By outcome and hyperparameter.
        interactions: All pairs that could be tested, the most significant first.
        importances: Decrease of a random forest's R² for the objective when the values of a
            hyperparameter are shuffled, by key: mean and standard deviation over shuffles. The
            largest first; empty for too few trials.
        forest_score: R² of the forest on trials that its trees have not seen.
        degrees_of_freedom: Trials minus the rank of the model.
        smallest_detectable: Effect on validation MAE that such a study detects with a power of
            80 %, corrections included; NaN where there is no interval.
    """

    factors: tuple[Factor, ...] = ()
    effects: tuple[Effect, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    importances: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    forest_score: float = np.nan
    degrees_of_freedom: int = 0
    smallest_detectable: float = np.nan


def unit_of(outcome: ClaimOutcome, terms: Terms) -> str:
    """Returns the unit of an outcome."""
    return "seconds" if outcome is ClaimOutcome.seconds_per_epoch else terms.target.unit


def outcome_of(study: StudyData, outcome: ClaimOutcome) -> Outcome:
    """Returns an outcome of the compared trials, with the errors of single faces where known."""
    values = study.values(METRICS[outcome])
    parts = _PARTS.get(outcome, ())
    if not set(parts) <= set(study.measured) or study.terms.objective.keeps_last_epoch:
        return Outcome(values)  # predictions of another epoch do not add up to the best epoch's
    errors = [study.measured[part].errors for part in parts]
    return Outcome(values, [each for each in errors if each.shape[1] > 1])


def estimate_effects(study: StudyData) -> Effects:
    """Returns the effects in a model of main effects for each outcome."""
    model = factors(study.compared, study.keys)
    if not model:
        return Effects()
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
    return Effects(
        model,
        *_corrected(effects, tested),
        *_importances(model, study.values(study.terms.objective.metric)),
        degrees_of_freedom=freedom,
        smallest_detectable=_smallest_detectable(effects, len(tested)),
    )


def _main_effects(model: Sequence[Factor], fit: CrossedFit, outcome: ClaimOutcome) -> list[Effect]:
    rows = []
    for factor in model:
        for contrast in factor.contrasts:
            weights = in_design(model, factor, contrast.weights)
            rows.append(
                Effect(
                    factor.key, outcome, contrast.low, contrast.high, fit.value(weights),
                    fit.estimate(weights), np.nan, confounded_with(model, factor, fit, weights),
                )
            )  # fmt: skip
    return rows


def _interactions(
    model: Sequence[Factor], matrix: np.ndarray, values: np.ndarray, outcome: ClaimOutcome
) -> list[Interaction]:
    rows = []
    for one, other in itertools.combinations(model, 2):
        products = np.einsum("ti,tj->tij", one.terms, other.terms).reshape(len(values), -1)
        found = interaction_test(matrix, products, values)
        if found is not None:
            rows.append(Interaction((one.key, other.key), outcome, *found))
    return rows


def _corrected(
    effects: Sequence[Effect], tested: Sequence[Interaction]
) -> tuple[tuple[Effect, ...], tuple[Interaction, ...]]:
    """Returns both with p-values that are adjusted as one family of tests."""
    p_values = [effect.estimate.p_value for effect in effects if effect.estimate]
    adjusted = iter(holm([*p_values, *(interaction.p_adjusted for interaction in tested)]))
    corrected = tuple(
        replace(effect, p_adjusted=float(next(adjusted))) if effect.estimate else effect
        for effect in effects
    )
    pairs = [replace(interaction, p_adjusted=float(next(adjusted))) for interaction in tested]
    return corrected, tuple(sorted(pairs, key=lambda pair: pair.p_adjusted))


def _smallest_detectable(effects: Sequence[Effect], num_pairs: int) -> float:
    """Returns the effect with a power of 80 % in the first step of Holm's correction."""
    num_tests = num_pairs + sum(effect.estimate is not None for effect in effects)
    on_error = [each for each in effects if each.outcome is ClaimOutcome.val_mae]
    estimates = [effect.estimate for effect in on_error if effect.estimate]
    if not estimates:
        return np.nan
    error = float(np.median([estimate.standard_error for estimate in estimates]))
    freedom = float(np.median([estimate.degrees_of_freedom for estimate in estimates]))
    tail = 1 - ALPHA / 2 / num_tests
    return float(special.stdtrit(freedom, tail) + special.stdtrit(freedom, 0.8)) * error


def _importances(
    model: Sequence[Factor], values: np.ndarray
) -> tuple[dict[str, tuple[float, float]], float]:
    """Returns permutation importances (Breiman 2001, scikit-learn), and the forest's R²."""
    if len(values) < _MIN_TRIALS_FOR_IMPORTANCE or np.ptp(values) == 0:
        return {}, np.nan
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    positions = np.column_stack([factor.positions for factor in model])
    forest = RandomForestRegressor(_NUM_TREES, oob_score=True, random_state=0, min_samples_leaf=2)
    forest.fit(positions, values)
    found = permutation_importance(forest, positions, values, n_repeats=10, random_state=0)
    means, spreads = found["importances_mean"], found["importances_std"]
    order = np.argsort(-means, kind="stable")
    rows = {model[i].key: (float(means[i]), float(spreads[i])) for i in order}
    return rows, float(forest.oob_score_)
