from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from src.statistics.comparison import holm
from src.statistics.crossed import CrossedFit, Outcome, interaction_test


def factorial(levels: tuple[int, ...], replicates: int) -> np.ndarray:
    """Constant and dummies of a full factorial, the first level of each factor left out."""
    cells = np.array([c for c in product(*map(range, levels)) for _ in range(replicates)])
    columns = [cells[:, j] == k for j, count in enumerate(levels) for k in range(1, count)]
    return np.column_stack([np.ones(len(cells)), *columns]).astype(float)


def unit(size: int, place: int) -> np.ndarray:
    return np.eye(size)[place]


def test_without_faces_it_is_ordinary_least_squares() -> None:
    design = factorial((3, 2), 2)
    values = np.random.default_rng(0).normal(8, 1, len(design))
    fit, peer = CrossedFit(design, Outcome(values)), sm.OLS(values, design).fit()
    for place in range(design.shape[1]):
        estimate = fit.estimate(unit(design.shape[1], place))
        assert estimate.value == pytest.approx(peer.params[place])
        assert (estimate.low, estimate.high) == pytest.approx(tuple(peer.conf_int()[place]))
        assert estimate.p_value == pytest.approx(peer.pvalues[place])
        wider = fit.estimate(unit(design.shape[1], place), 0.99)
        assert (wider.low, wider.high) == pytest.approx(tuple(peer.conf_int(0.01)[place]))


def test_two_by_two_by_hand() -> None:
    """Means 10, 12 | 7, 9 + a residual of ±1 each: the effect is the difference of row means."""
    design = factorial((2, 2), 1)
    fit = CrossedFit(design, Outcome(np.array([11.0, 11.0, 6.0, 10.0])))
    estimate = fit.estimate(unit(3, 1))
    assert estimate.value == pytest.approx((6 + 10) / 2 - (11 + 11) / 2)
    assert estimate.degrees_of_freedom == 1
    assert estimate.standard_error == pytest.approx(2.0)  # s² = 4, times (1/2 + 1/2)
    assert estimate.high - estimate.value == pytest.approx(12.706 * 2, rel=1e-4)  # t, 1 d.o.f.


def test_variance_of_identical_trainings_comes_from_faces_only() -> None:
    """Two configurations, each trained twice to the very same model: a paired t-test of faces."""
    rng = np.random.default_rng(1)
    one, other = rng.gamma(2, 3, 400), rng.gamma(2, 3.2, 400)
    errors = np.array([one, one, other, other])
    estimate = CrossedFit(factorial((2,), 2), Outcome(errors.mean(axis=1), [errors])).estimate(
        unit(2, 1)
    )
    difference = other - one
    assert estimate.value == pytest.approx(difference.mean())
    assert estimate.standard_error == pytest.approx(difference.std(ddof=1) / 20)


def test_only_confounded_terms_have_no_estimate() -> None:
    design = factorial((2, 2), 2)
    design = np.column_stack([design, design[:, 2]])  # another factor, always changed with it
    fit = CrossedFit(design, Outcome(np.arange(8.0)))
    assert fit.estimate(unit(4, 1)) is not None
    assert fit.estimate(unit(4, 2)) is None
    assert fit.estimate(unit(4, 2) + unit(4, 3)) is not None


@pytest.mark.parametrize("count", [1, 2])
def test_saturated_models_have_values_and_no_intervals(count: int) -> None:
    design = factorial((count,), 1)
    fit = CrossedFit(design, Outcome(np.arange(1.0, count + 1)))
    assert fit.degrees_of_freedom == 0
    assert fit.estimate(unit(count, 0)) is None
    assert fit.value(unit(count, 0)) == pytest.approx(1)


def test_equal_trials_have_no_effect() -> None:
    fit = CrossedFit(factorial((2, 2), 2), Outcome(np.full(8, 7.5)))
    estimate = fit.estimate(unit(3, 1))
    assert (estimate.value, estimate.p_value) == (pytest.approx(0), 1.0)


MIXES = {
    "trainings": (0.5, 1.0, 0.0),
    "faces": (0.05, 3.0, 1.0),
    "both": (0.3, 3.0, 1.0),
}
"""Standard deviation of a training, of a training on a face, of an effect between faces."""


def simulate(levels, replicates, mix, num_faces=200, count=700):
    """Coverage of the intervals of effects that are zero, and the rate of significant ones."""
    rng = np.random.default_rng(2)
    of_training, of_both, of_effect = MIXES[mix]
    design = factorial(levels, replicates)
    num_trials, num_terms = design.shape
    covered, flagged = [], 0
    for _ in range(count):
        errors = rng.gamma(2, 3, num_faces) + design @ rng.normal(
            0, of_effect, (num_terms, num_faces)
        )
        errors += rng.normal(0, of_training, (num_trials, 1))
        errors += rng.normal(0, of_both, errors.shape)
        fit = CrossedFit(design, Outcome(errors.mean(axis=1), [errors]))
        effects = [fit.estimate(unit(num_terms, place)) for place in range(1, num_terms)]
        covered += [effect.low <= 0 <= effect.high for effect in effects]
        flagged += bool((holm([effect.p_value for effect in effects]) < 0.05).any())
    return np.mean(covered), flagged / count


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize(("levels", "replicates"), [((3, 2, 2), 2), ((3, 2, 2), 1)])
def test_intervals_cover_and_null_effects_are_not_significant(levels, replicates, mix) -> None:
    coverage, flagged = simulate(levels, replicates, mix)
    assert 0.93 <= coverage <= 0.97
    assert flagged <= 0.065  # 0.05 and two standard errors of 700 simulations


def test_gap_of_two_parts_covers() -> None:
    rng = np.random.default_rng(3)
    design, covered = factorial((2, 2), 2), []
    for _ in range(600):
        val, train = (rng.gamma(2, 3, n) + rng.normal(0, 2, (8, n)) for n in (150, 300))
        training = rng.normal(0, 0.3, 8)
        outcome = Outcome(
            val.mean(axis=1) - train.mean(axis=1) + training,
            [val + training[:, None], train],
        )
        estimate = CrossedFit(design, outcome).estimate(unit(3, 1))
        covered.append(estimate.low <= 0 <= estimate.high)
    assert 0.93 <= np.mean(covered) <= 0.975


def test_interaction_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(4)
    design = factorial((3, 2), 3)
    products = design[:, 1:3] * design[:, 3:4]
    values = rng.normal(0, 1, len(design)) + 0.8 * products[:, 0]
    large = sm.OLS(values, np.hstack([design, products])).fit()
    expected = large.compare_f_test(sm.OLS(values, design).fit())[1]
    found = interaction_test(design, products, values)
    largest = np.abs(large.fittedvalues - sm.OLS(values, design).fit().fittedvalues).max()
    assert found == pytest.approx((expected, largest))
    assert interaction_test(design, design[:, 1:2], values) is None


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 3),
    st.floats(0.01, 100), st.floats(-1000, 1000),
)  # fmt: skip
def test_estimates_follow_the_unit_and_ignore_the_origin(seed, levels, replicates, scale, shift):
    """Another unit or origin of the labels gives the same effects."""
    design = factorial((levels, 2), replicates)
    values = np.random.default_rng(seed).normal(8, 1, len(design))
    contrast = unit(design.shape[1], design.shape[1] - 1)
    plain = CrossedFit(design, Outcome(values)).estimate(contrast)
    moved = CrossedFit(design, Outcome(values * scale + shift)).estimate(contrast)
    assert (plain is None) == (moved is None)
    if plain is not None:
        assert moved.value == pytest.approx(plain.value * scale, rel=1e-5, abs=1e-6 * scale)
        assert moved.p_value == pytest.approx(plain.p_value, abs=1e-4)
