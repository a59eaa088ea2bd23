"""Ages in numbers, years."""

import numpy as np
import pandas as pd
from scipy import stats

from src.config.schema import AGE_BANDS
from src.data.sample import AGE_COUNTS


def seed_ages() -> np.ndarray:
    """The 7,591 ages of the seed study, of which only the count for each age is known."""
    counts = pd.read_csv(AGE_COUNTS)
    return np.repeat(counts["age"].to_numpy(np.float64), counts["count"].to_numpy())


def describe(ages: np.ndarray) -> dict[str, float]:
    """n, mean, sd, min, quartiles and max, as pandas computes them (sd with n − 1).

    The standard deviation of one age is NaN.
    """
    described = pd.Series(ages, dtype=np.float64).describe()
    names = {"count": "n", "mean": "mean", "std": "sd", "min": "min",
             "25%": "25 %", "50%": "median", "75%": "75 %", "max": "max"}  # fmt: skip
    return {name: float(described[key]) for key, name in names.items()}


def band_names() -> list[str]:
    """The age bands of the report, such as `5–12`; the last has no upper end."""
    names = [f"{low}–{high}" for low, high in AGE_BANDS[:-1]]
    return [*names, f"{AGE_BANDS[-1][0]}+"]


def bands_of(ages: np.ndarray) -> np.ndarray:
    """Place in `AGE_BANDS` of each age; a band holds whole years, so 4.7 is in the first."""
    return np.searchsorted([low for low, _ in AGE_BANDS], ages, side="right") - 1


def band_counts(ages: np.ndarray) -> np.ndarray:
    """How many ages each of `AGE_BANDS` holds."""
    return np.bincount(bands_of(ages), minlength=len(AGE_BANDS))


def heaping(ages: np.ndarray) -> float:
    """Share of ages that end in 0 or 5; ages that nobody rounds give about 0.2."""
    return float(np.mean(np.floor(ages) % 5 == 0))


def distance(these: np.ndarray, those: np.ndarray) -> float:
    """Kolmogorov–Smirnov distance: the largest difference of the two cumulative shares."""
    return float(stats.ks_2samp(these, those).statistic)


def chance_distance(these: int, those: int) -> float:
    """The distance that a purely random split of so many faces stays under in 19 of 20 cases.

    Large-sample value of the Kolmogorov–Smirnov test at 5 %.
    """
    return 1.358 * float(np.sqrt((these + those) / (these * those)))
