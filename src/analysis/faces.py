"""On which faces the best model errs: by age, at both ends, and the worst of all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from src.analysis.study_data import StudyData
from src.config.schema import AGE_BANDS
from src.records.trial import TrialRecord
from src.statistics import mean_interval

CHILDREN_UNTIL, OLD_FROM = 12, 60  # years, both inclusive
NUM_WORST = 12


@dataclass(frozen=True)
class Band:
    """Faces of an age band.

    Attributes:
        name: Such as `20-29`, years.
        count: Faces.
        mae: Years, with the ends of its 95 % interval.
        bias: Mean of prediction − age, years, with the ends of its 95 % interval.
    """

    name: str
    count: int
    mae: tuple[float, float, float]
    bias: tuple[float, float, float]


@dataclass(frozen=True)
class FaceErrors:
    """The best trial's errors.

    Attributes:
        trial: The trial.
        bands: Those that have faces.
        children: Faces up to `CHILDREN_UNTIL` years; None where there are none.
        old: Faces from `OLD_FROM` years; None where there are none.
        slope: Years that a prediction rises for each year of age, least squares; 1 is right, less
            means drawn to the mean. NaN where all ages are one.
        worst: The `NUM_WORST` largest errors: file_name, age, prediction, others (median of the
            other trials' predictions), years.
    """

    trial: TrialRecord
    bands: tuple[Band, ...]
    children: Band | None
    old: Band | None
    slope: float
    worst: pd.DataFrame


def face_errors(study: StudyData) -> FaceErrors | None:
    """Errors of the best trial; None where errors of single faces were not kept."""
    if "val" not in study.measured:
        return None
    measured = study.measured["val"]
    best = int(np.argmin(measured.errors.mean(axis=1)))
    ages = measured.faces["age"].to_numpy(float)
    predictions = measured.predictions[best]
    bands = [_band(f"{low}-{high}", low, high, ages, predictions) for low, high in AGE_BANDS]
    order = np.argsort(-measured.errors[best], kind="stable")[:NUM_WORST]
    others = np.delete(measured.predictions, best, axis=0)
    worst = pd.DataFrame(
        {
            "file_name": measured.faces["file_name"].to_numpy()[order],
            "age": ages[order],
            "prediction": predictions[order],
            "others": np.median(others, axis=0)[order] if len(others) else np.nan,
        }
    )
    spread = float(np.var(ages))
    slope = float(np.cov(ages, predictions, bias=True)[0, 1]) / spread if spread else np.nan
    return FaceErrors(
        trial=study.compared[best],
        bands=tuple(band for band in bands if band),
        children=_band("children", 0, CHILDREN_UNTIL, ages, predictions),
        old=_band("old", OLD_FROM, 200, ages, predictions),
        slope=slope,
        worst=worst,
    )


def _band(name: str, low: int, high: int, ages: np.ndarray, predictions: np.ndarray) -> Band | None:
    inside = (ages >= low) & (ages < high + 1)
    if not inside.any():
        return None
    signed = predictions[inside] - ages[inside]
    return Band(name, int(inside.sum()), _with_interval(np.abs(signed)), _with_interval(signed))


def _with_interval(values: np.ndarray) -> tuple[float, float, float]:
    low, high = mean_interval(values)
    return float(values.mean()), low, high


def pull_to_the_mean(errors: FaceErrors) -> str:
    """A sentence on both ends of the ages."""
    words = []
    ends: Sequence[tuple[Band | None, str]] = (
        (errors.children, f"children up to {CHILDREN_UNTIL} years"),
        (errors.old, f"people from {OLD_FROM} years"),
    )
    for band, name in ends:
        if band is None:
            continue
        bias, low, high = band.bias
        tendency = "too old" if low > 0 else "too young" if high < 0 else "with no clear bias"
        words.append(f"{name} are guessed {tendency} ({bias:+.1f} years, n = {band.count})")
    text = "; ".join(words)
    slope = (
        f" A year of age raises the guess by {errors.slope:.2f} years; less "
        "than 1 is a pull to the mean."
        if np.isfinite(errors.slope)
        else ""
    )
    return f"{text[:1].upper()}{text[1:]}.{slope}" if text else slope.strip()
