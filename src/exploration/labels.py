"""Statistics of labels."""

import numpy as np
import pandas as pd

from src.config import TargetConfig
from src.core.metrics import Bands, band_of
from src.data.sample import AGE_COUNTS
from src.records.terms import neutral_target


def seed_ages() -> np.ndarray:
    """Returns the 7,591 ages of the seed study, from their counts."""
    counts = pd.read_csv(AGE_COUNTS)
    return np.repeat(counts["age"].to_numpy(np.float64), counts["count"].to_numpy())


def seed_labels(target: TargetConfig) -> np.ndarray | None:
    """Returns the labels of the seed study; None if it predicted another quantity."""
    seed = neutral_target()
    return seed_ages() if (target.name, target.unit) == (seed.name, seed.unit) else None


def describe(labels: np.ndarray) -> dict[str, float]:
    """Returns n, mean, sd, min, quartiles and max, as pandas computes them (sd with n − 1).

    The standard deviation of one label is NaN.
    """
    names = {"count": "n", "std": "sd", "25%": "25 %", "50%": "median", "75%": "75 %"}
    described = pd.Series(labels, dtype=np.float64).describe().rename(names)
    return {str(name): value for name, value in described.items()}


def band_counts(labels: np.ndarray, bands: Bands) -> np.ndarray:
    """Returns the number of labels in each band."""
    index = band_of(labels, bands)
    return np.bincount(index[index >= 0], minlength=len(bands))


def heaping(labels: np.ndarray) -> float:
    """Returns the share of labels that end in 0 or 5; without rounding it is about 0.2."""
    return float(np.mean(np.floor(labels) % 5 == 0))


def chance_distance(these: int, those: int) -> float:
    """Returns the distance that a random split of so many faces exceeds in 1 of 20 cases.

    Large-sample value of the Kolmogorov–Smirnov test at 5 %.
    """
    return 1.358 * float(np.sqrt((these + those) / (these * those)))
