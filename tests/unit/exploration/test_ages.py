"""Ages in numbers, held against the seed study's."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from src.config.schema import AGE_BANDS
from src.exploration.ages import (
    band_counts,
    band_names,
    bands_of,
    chance_distance,
    describe,
    distance,
    heaping,
    seed_ages,
)

ages = st.lists(st.floats(0, 120), min_size=1, max_size=60).map(np.array)


def test_seed_study_is_described_to_the_last_digit() -> None:
    described = describe(seed_ages())
    assert described["n"] == 7591
    assert f"{described['mean']:.6f}" == "31.201159"
    assert f"{described['sd']:.6f}" == "17.145060"
    assert [described[name] for name in ("min", "25 %", "median", "75 %", "max")] == [
        1, 20, 29, 41, 100,
    ]  # fmt: skip


def test_one_age_has_no_standard_deviation() -> None:
    described = describe(np.array([30.0]))
    assert described["mean"] == described["median"] == 30
    assert np.isnan(described["sd"])


@given(ages)
def test_every_age_is_in_exactly_one_band(ages: np.ndarray) -> None:
    assert band_counts(ages).sum() == len(ages)
    for age, band in zip(ages, bands_of(ages), strict=True):
        low, high = AGE_BANDS[band]
        assert low <= age < high + 1


def test_bands_have_names_and_hold_whole_years() -> None:
    assert band_names()[0] == "0–4"
    assert band_names()[-1] == "70+"
    assert list(bands_of(np.array([4.9, 5, 69.5, 70]))) == [0, 1, 7, 8]


def test_heaping_counts_ages_that_end_in_0_or_5() -> None:
    assert heaping(np.array([5, 10, 11, 12])) == 0.5
    assert heaping(np.arange(0, 100)) == pytest.approx(0.2)


def test_distance_is_the_largest_gap_of_the_cumulated_shares() -> None:
    assert distance(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 4])) == 0
    assert distance(np.array([1, 2]), np.array([3, 4])) == 1
    assert distance(np.array([1, 2, 3, 4]), np.array([3, 4])) == 0.5


def test_random_splits_stay_under_the_chance_distance_in_19_of_20_cases() -> None:
    rng = np.random.default_rng(0)
    line = stats.norm.rvs(size=3000, random_state=0)
    limit = chance_distance(1000, 2000)
    over = [
        distance(shuffled[:1000], shuffled[1000:]) > limit
        for shuffled in (rng.permutation(line) for _ in range(400))
    ]
    assert 0.02 < np.mean(over) < 0.08


def test_description_is_that_of_pandas() -> None:
    assert describe(seed_ages())["sd"] == pd.Series(seed_ages()).std(ddof=1)
