"""Statistics of labels, compared with those of the seed study."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from src.config.schema import AGE_BANDS
from src.exploration.labels import (
    band_counts,
    chance_distance,
    describe,
    heaping,
    seed_ages,
    seed_labels,
)
from src.records.terms import neutral_target

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
def test_every_age_is_counted_in_exactly_one_band(ages: np.ndarray) -> None:
    counts = band_counts(ages, AGE_BANDS)
    assert counts.sum() == len(ages)
    expected = [np.sum((ages >= low) & (ages < high + 1)) for low, high in AGE_BANDS]
    assert list(counts) == expected


def test_labels_outside_all_bands_are_not_counted() -> None:
    labels = np.array([0, 49.9, 50, 99.5, 100, 400])
    assert list(band_counts(labels, [[50, 99], [100, 200]])) == [2, 1]


def test_seed_study_is_compared_only_with_its_own_target() -> None:
    target = neutral_target()
    assert len(seed_labels(target)) == 7591
    assert seed_labels(replace(target, unit="months")) is None


def test_heaping_counts_ages_that_end_in_0_or_5() -> None:
    assert heaping(np.array([5, 10, 11, 12])) == 0.5
    assert heaping(np.arange(0, 100)) == pytest.approx(0.2)


def test_random_splits_stay_under_the_chance_distance_in_19_of_20_cases() -> None:
    rng = np.random.default_rng(0)
    line = stats.norm.rvs(size=3000, random_state=0)
    limit = chance_distance(1000, 2000)
    over = [
        stats.ks_2samp(shuffled[:1000], shuffled[1000:]).statistic > limit
        for shuffled in (rng.permutation(line) for _ in range(400))
    ]
    assert 0.02 < np.mean(over) < 0.08


def test_description_is_that_of_pandas() -> None:
    assert describe(seed_ages())["sd"] == pd.Series(seed_ages()).std(ddof=1)
