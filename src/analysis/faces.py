"""Errors of the trial with the lowest error by band of the target, and its largest errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from src.analysis.formatting import capitalized, interval, with_unit
from src.analysis.study_data import StudyData
from src.analysis.style import TRAIN, VAL, WIDTH
from src.config import TargetConfig
from src.core.metrics import band_name, band_of
from src.pages import Block, Faces, Picture, Section, Table, Text
from src.records.trial import TrialRecord
from src.statistics import mean_interval

_NUM_WORST = 12


@dataclass(frozen=True)
class Band:
    """Errors on the faces of a band.

    Attributes:
        name: Such as `20-29`.
        count: Number of faces.
        mae: Mean absolute error, with the ends of its 95 % interval.
        bias: Mean of prediction minus label, with the ends of its 95 % interval.
    """

    name: str
    count: int
    mae: tuple[float, float, float]
    bias: tuple[float, float, float]


@dataclass(frozen=True)
class FaceErrors:
    """Errors of the trial with the lowest validation MAE.

    Attributes:
        trial: The trial.
        target: The predicted quantity.
        bands: Those that have faces.
        slope: Least-squares slope of prediction on label; below 1, predictions are drawn to the
            mean. NaN if all labels are equal.
        worst: The largest errors: file_name, label, prediction, others (median of the other
            trials' predictions).
    """

    trial: TrialRecord
    target: TargetConfig
    bands: tuple[Band, ...]
    slope: float
    worst: pd.DataFrame


def face_errors(study: StudyData) -> FaceErrors | None:
    """Returns the errors of the most accurate trial; None if they were not kept face by face."""
    if "val" not in study.measured:
        return None
    measured, target = study.measured["val"], study.terms.target
    best = int(np.argmin(measured.errors.mean(axis=1)))
    labels, predictions = measured.faces["label"].to_numpy(float), measured.predictions[best]
    index = band_of(labels, target.bands)
    bands = []
    for band, (low, high) in enumerate(target.bands):
        signed = (predictions - labels)[index == band]
        if len(signed):
            name = band_name(low, high)
            bands.append(Band(name, len(signed), _mean(np.abs(signed)), _mean(signed)))
    order = np.argsort(-measured.errors[best], kind="stable")[:_NUM_WORST]
    others = np.delete(measured.predictions, best, axis=0)
    worst = measured.faces[["file_name", "label"]].iloc[order].assign(
        prediction=predictions[order],
        others=np.median(others, axis=0)[order] if len(others) else np.nan,
    )  # fmt: skip
    variance = float(np.var(labels))
    slope = float(np.cov(labels, predictions, bias=True)[0, 1]) / variance if variance else np.nan
    return FaceErrors(study.compared[best], target, tuple(bands), slope, worst)


def faces_section(errors: FaceErrors | None, worst_faces: Sequence[bytes]) -> Section:
    """Returns the section; without blocks if errors of single faces were not kept.

    Args:
        errors: The study's.
        worst_faces: Pictures of `errors.worst`; empty where they could not be read.
    """
    if errors is None:
        return Section("Faces", [])
    target = errors.target
    cells = pd.DataFrame(
        {
            target.name: [band.name for band in errors.bands],
            "n": [str(band.count) for band in errors.bands],
            "MAE [95 %]": [interval(*band.mae, decimals=1) for band in errors.bands],
            "bias [95 %]": [interval(*band.bias, "+", 1) for band in errors.bands],
        }
    )
    name = f"{target.name}_bands"
    blocks: list[Block] = [
        Text(
            f"Of {errors.trial.name}, the trial with the lowest error. {pull_to_the_mean(errors)}"
        ),
        Picture(
            name,
            _bands_figure(errors),
            f"MAE and bias of that trial by {target.name}. Positive bias: predicted too high. "
            f"Models predict towards the mean {target.name}.",
        ),
        Table(name, cells, f"In {target.unit}. Below about 30 faces the intervals are too narrow."),
    ]
    if worst_faces:
        numbers = errors.worst[["label", "prediction", "others"]].to_numpy(float)
        captions = [
            f"{label:g} {target.unit}, predicted {prediction:.0f}"
            + ("" if math.isnan(others) else f" (others {others:.0f})")
            for label, prediction, others in numbers
        ]
        blocks.append(
            Faces(
                worst_faces,
                captions,
                "Largest errors of that trial, in parentheses the median prediction of the "
                "other trials. A wrong label or a poor picture shows in all of them.",
            )
        )
    return Section("Faces", blocks)


def pull_to_the_mean(errors: FaceErrors) -> str:
    """Returns sentences on the bias in the lowest and the highest band, and on the slope."""
    target, parts = errors.target, []
    for band in dict.fromkeys([*errors.bands[:1], *errors.bands[-1:]]):
        bias, low, high = band.bias
        tendency = "too high" if low > 0 else "too low" if high < 0 else "without a clear bias"
        parts.append(
            f"{target.name} {band.name} is predicted {tendency} ({bias:+.1f} {target.unit}, "
            f"n = {band.count})"
        )
    text = f"{capitalized('; '.join(parts))}." if parts else ""
    if np.isfinite(errors.slope):
        text += (
            f" The slope of prediction on {target.name} is {errors.slope:.2f}; below 1, "
            "predictions are drawn to the mean."
        )
    return text.strip()


def _mean(values: np.ndarray) -> tuple[float, float, float]:
    return float(values.mean()), *mean_interval(values)


def _bands_figure(errors: FaceErrors) -> Figure:
    """Returns MAE and bias by band, with intervals."""
    labels = [f"{band.name}\nn={band.count}" for band in errors.bands]
    positions = np.arange(len(labels))
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    mae = np.array([band.mae for band in errors.bands]).reshape(-1, 3)
    bias = np.array([band.bias for band in errors.bands]).reshape(-1, 3)
    upper.bar(positions, mae[:, 0], yerr=_halves(mae), capsize=3, color=TRAIN, alpha=0.75,
              label="MAE, 95 % interval")  # fmt: skip
    lower.errorbar(positions, bias[:, 0], yerr=_halves(bias), fmt="o", capsize=3, color=VAL,
                   label="bias, 95 % interval")  # fmt: skip
    lower.axhline(0, color="0.2", linewidth=1)
    name, unit = errors.target.name, errors.target.unit
    upper.set_ylabel(with_unit("MAE", unit))
    lower.set_ylabel(f"{with_unit('bias', unit)}\n+ is predicted too high")
    lower.set_xticks(positions, labels, fontsize=7)
    lower.set_xlabel(f"{with_unit(name, unit)}, number of validation faces")
    for axes in (upper, lower):
        axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, fontsize=9, frameon=False)
    return figure


def _halves(rows: np.ndarray) -> np.ndarray:
    """Returns the lengths of error bars from (value, low, high); 0 without an interval."""
    return np.nan_to_num(np.abs(rows[:, 1:] - rows[:, :1])).T
