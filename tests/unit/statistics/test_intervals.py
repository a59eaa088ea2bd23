import math

import numpy as np
import pytest
from scipy import stats

from src.statistics.intervals import difference_interval, mean_interval


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).gamma(2, 3, 200)
    low, high = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert mean_interval(values) == pytest.approx((low, high))


def test_interval_covers_the_mean_about_95_percent_of_the_time() -> None:
    rng = np.random.default_rng(1)
    intervals = [mean_interval(rng.exponential(6.0, 500)) for _ in range(2000)]
    covered = np.mean([low <= 6.0 <= high for low, high in intervals])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("count", [0, 1])
def test_one_value_has_no_interval(count: int) -> None:
    assert all(math.isnan(end) for end in mean_interval(np.ones(count)))


def test_difference_interval_agrees_with_the_two_intervals_of_its_samples() -> None:
    rng = np.random.default_rng(2)
    these, those = rng.gamma(2, 3, 150), rng.gamma(2, 4, 90)
    low, high = difference_interval(these, those)
    halves = [(end - start) / 2 for start, end in map(mean_interval, (these, those))]
    assert (low + high) / 2 == pytest.approx(these.mean() - those.mean())
    assert (high - low) / 2 == pytest.approx(np.hypot(*halves))
    assert math.isnan(difference_interval(these, those[:1])[0])
