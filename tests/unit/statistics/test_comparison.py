from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from src.statistics.comparison import Contenders, holm
from src.statistics.intervals import mean_interval


def test_interval_of_one_trial_agrees_with_normal_theory() -> None:
    errors = np.random.default_rng(0).gamma(2, 3, (1, 800))
    (low, high) = Contenders(errors, [0]).intervals()[0]
    expected_low, expected_high = mean_interval(errors[0])
    assert low == pytest.approx(expected_low, abs=0.03)
    assert high == pytest.approx(expected_high, abs=0.03)


def test_pooled_spread_of_replicates_by_hand() -> None:
    """Pairs that differ by 2 and by 0: squares 1 + 1 + 0 + 0 over 2 degrees of freedom."""
    errors = np.array([[4.0], [6.0], [5.0], [5.0]]) * np.ones((1, 3))
    contenders = Contenders(errors, [0, 0, 1, 1])
    assert contenders.replicate_variance == pytest.approx(1.0)
    assert contenders.face_variance == 0
    assert contenders.degrees_of_freedom == 2
    assert contenders.means == pytest.approx([5, 5])


def make_errors(rng, num_groups, replicates, of_training, num_faces=300):
    faces = rng.gamma(2, 3, num_faces)
    shape = (num_groups * replicates, num_faces)
    trainings = rng.normal(0, of_training, (shape[0], 1))
    return faces + trainings + rng.normal(0, 2, shape)


@pytest.mark.slow
@pytest.mark.parametrize(("replicates", "of_training"), [(1, 0.0), (2, 0.3), (3, 1.0)])
def test_equal_configurations_stay_and_intervals_cover(replicates, of_training) -> None:
    """With one training each, trainings must not differ: their variance is unknown."""
    rng, marked, covered = np.random.default_rng(1), 0, []
    groups = np.repeat(np.arange(6), replicates)
    for _ in range(400):
        contenders = Contenders(make_errors(rng, 6, replicates, of_training), groups)
        marked += not contenders.could_be_best().all()
        low, high = contenders.intervals()[0]
        covered.append(low <= 6.0 <= high)  # mean of the gamma distribution
    assert marked / 400 <= 0.07  # 0.05 and two standard errors
    assert 0.93 <= np.mean(covered) <= 0.97


def test_clearly_worse_configurations_do_not_widen_the_threshold() -> None:
    rng = np.random.default_rng(2)
    errors = make_errors(rng, 5, 1, 0.0)
    errors[3] += 1.5
    errors[4] = rng.gamma(2, 20, errors.shape[1])  # bad, and noisy enough to widen any threshold
    assert list(Contenders(errors, range(5)).could_be_best()) == [1, 1, 1, 0, 0]


def test_selection_bias_grows_with_the_number_of_configurations() -> None:
    rng = np.random.default_rng(3)
    few, many = (
        Contenders(make_errors(rng, count, 1, 0.0), range(count)).optimism() for count in (2, 40)
    )
    alone = Contenders(make_errors(rng, 1, 1, 0.0), [0]).optimism()
    assert alone == pytest.approx(0, abs=0.02)
    assert 0 < few < many < 1


def test_optimism_is_the_distance_of_the_winner_from_equal_configurations() -> None:
    rng, estimated, true_bias = np.random.default_rng(4), [], []
    for _ in range(60):
        errors = make_errors(rng, 10, 1, 0.0, num_faces=100)
        contenders = Contenders(errors, range(10))
        estimated.append(contenders.optimism())
        # All are equal: the distance of the winner from the mean of all is chance.
        true_bias.append(contenders.means.mean() - contenders.means.min())
    assert np.mean(estimated) == pytest.approx(np.mean(true_bias), rel=0.35)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    with patch("gc.collect"):  # which statsmodels calls each time, for an eighth of a second here
        expected = multipletests(p_values, method="holm")[1] if p_values else []
    assert holm(p_values) == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 30), st.integers(0, 99))
def test_the_best_could_always_be_the_best(num_groups, replicates, num_faces, seed) -> None:
    errors = make_errors(np.random.default_rng(seed), num_groups, replicates, 0.5, num_faces)
    contenders = Contenders(errors, np.repeat(np.arange(num_groups), replicates))
    assert contenders.could_be_best()[contenders.means.argmin()]
    assert np.isfinite(contenders.intervals()).all()
    assert contenders.optimism() >= 0
