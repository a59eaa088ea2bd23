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
from src.core import names
from src.core.metrics import band_name, band_of
from src.pages.blocks import Block, Faces, Picture, Section, Table, Text
from src.records.trial import TrialRecord
from src.statistics.intervals import mean_interval

_NUM_WORST = 12


@dataclass(frozen=True)
class FaceErrors:
    """Errors of the trial with the lowest validation MAE.

    Attributes:
        trial: The trial.
        target: The predicted quantity.
        bands: Those that have faces, one row each: band, n, and mean absolute error and bias
            (prediction minus label) with the ends of their 95 % intervals, `_low` and `_high`.
        slope: Least-squares slope of prediction on label; below 1, predictions are drawn to the
            mean. NaN if all labels are equal.
        worst: The largest errors: file_name, label, prediction, others (median of the other
            trials' predictions).
    """

    trial: TrialRecord
    target: TargetConfig
    bands: pd.DataFrame
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
            row = {"band": band_name(low, high), "n": len(signed)}
            bands.append({**row, **_mean("mae", np.abs(signed)), **_mean("bias", signed)})
    order = np.argsort(-measured.errors[best], kind="stable")[:_NUM_WORST]
    others = np.delete(measured.predictions, best, axis=0)
    worst = measured.faces[["file_name", "label"]].iloc[order].assign(
        prediction=predictions[order],
        others=np.median(others, axis=0)[order] if len(others) else np.nan,
    )  # fmt: skip
    variance = float(np.var(labels))
    slope = float(np.cov(labels, predictions, bias=True)[0, 1]) / variance if variance else np.nan
    return FaceErrors(study.compared[best], target, pd.DataFrame(bands), slope, worst)


def faces_section(errors: FaceErrors | None, worst_faces: Sequence[bytes]) -> Section:
    """Returns the section; without blocks if errors of single faces were not kept.

    Args:
        errors: The study's.
        worst_faces: Pictures of `errors.worst`; empty where they could not be read.
    """
    if errors is None:
        return Section("Faces", [])
    target = errors.target
    blocks: list[Block] = [] if errors.bands.empty else _band_blocks(errors)
    if worst_faces:
        captions = [
            f"{face['label']:g} {target.unit}, predicted {face['prediction']:.0f}"
            + ("" if math.isnan(face["others"]) else f" (others {face['others']:.0f})")
            for face in errors.worst.to_dict("records")
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


def _band_blocks(errors: FaceErrors) -> list[Block]:
    target, name = errors.target, f"{errors.target.column}_bands"
    cells = pd.DataFrame(
        {
            target.name: band["band"],
            "n": str(band["n"]),
            "MAE [95 %]": interval(band["mae"], band["mae_low"], band["mae_high"], "", 1),
            "bias [95 %]": interval(band["bias"], band["bias_low"], band["bias_high"], "+", 1),
        }
        for band in errors.bands.to_dict("records")
    )
    caption = (
        f"MAE and bias of that trial by {target.name}. Positive bias: predicted too high. Models "
        f"predict towards the mean {target.name}."
    )
    return [
        Text(f"Of {errors.trial.name}, which has the lowest error. {pull_to_the_mean(errors)}"),
        Picture(name, _bands_figure(errors), caption),
        Table(name, cells, f"In {target.unit}. Below about 30 faces the intervals are too narrow."),
    ]


def pull_to_the_mean(errors: FaceErrors) -> str:
    """Returns sentences on the bias in the lowest and the highest band, and on the slope."""
    target, parts = errors.target, []
    for index in sorted({0, len(errors.bands) - 1}):
        band = errors.bands.iloc[index]
        too_low, too_high = band["bias_high"] < 0, band["bias_low"] > 0
        tendency = "too high" if too_high else "too low" if too_low else "without a clear bias"
        parts.append(
            f"{target.name} {band['band']} is predicted {tendency} ({band['bias']:+.1f} "
            f"{target.unit}, n = {band['n']})"
        )
    text = f"{capitalized('; '.join(parts))}."
    if np.isfinite(errors.slope):
        text += (
            f" The slope of prediction on {target.name} is {errors.slope:.2f}; below 1, "
            "predictions are drawn to the mean."
        )
    return text


def _mean(name: str, values: np.ndarray) -> dict[str, float]:
    low, high = mean_interval(values)
    return {name: float(values.mean()), names.low(name): low, names.high(name): high}


def _bands_figure(errors: FaceErrors) -> Figure:
    """Returns MAE and bias by band, with intervals."""
    labels = [f"{row.band}\nn={row.n}" for row in errors.bands.itertuples()]
    positions = np.arange(len(labels))
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    (mae, mae_halves), (bias, bias_halves) = (_bars(errors.bands, key) for key in ("mae", "bias"))
    upper.bar(positions, mae, yerr=mae_halves, capsize=3, color=TRAIN, alpha=0.75,
              label="MAE, 95 % interval")  # fmt: skip
    lower.errorbar(positions, bias, yerr=bias_halves, fmt="o", capsize=3, color=VAL,
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


def _bars(bands: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns means and lengths of error bars, which are 0 without an interval."""
    value, low, high = bands[[name, names.low(name), names.high(name)]].to_numpy(float).T
    return value, np.nan_to_num([value - low, high - value])
