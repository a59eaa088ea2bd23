"""Errors of the trial with the lowest error by band of the target, and its largest errors."""

import math
from collections.abc import Sequence

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


def most_accurate(study: StudyData) -> tuple[TrialRecord, pd.DataFrame] | None:
    """Returns the trial with the lowest validation MAE, and its faces.

    Returns:
        The faces have the columns file_name, label, prediction, error, others (median of the other
        trials' predictions). None if errors of single faces were not kept.
    """
    if "val" not in study.measured:
        return None
    measured = study.measured["val"]
    best = int(np.argmin(measured.errors.mean(axis=1)))
    others = np.delete(measured.predictions, best, axis=0)
    faces = measured.faces[["file_name", "label"]].assign(
        prediction=measured.predictions[best],
        error=measured.errors[best],
        others=np.median(others, axis=0) if len(others) else np.nan,
    )
    return study.compared[best], faces


def worst(faces: pd.DataFrame) -> pd.DataFrame:
    """Returns the faces with the largest errors, the largest first."""
    return faces.sort_values("error", ascending=False, kind="stable").head(_NUM_WORST)


def faces_section(study: StudyData, worst_faces: Sequence[bytes]) -> Section:
    """Returns the section; without blocks if errors of single faces were not kept.

    Args:
        study: With trials in any state, or none.
        worst_faces: Pictures of the `worst` faces; empty where they could not be read.
    """
    found, target = most_accurate(study), study.terms.target
    if found is None:
        return Section("Faces", [])
    trial, faces = found
    bands = _bands(faces, target)
    blocks: list[Block] = []
    if not bands.empty:
        words = f"Of {trial.name}, which has the lowest error. {_tendency(faces, bands, target)}"
        blocks += [Text(words), *_band_blocks(bands, target)]
    if worst_faces:
        captions = [
            f"{face['label']:g} {target.unit}, predicted {face['prediction']:.0f}"
            + ("" if math.isnan(face["others"]) else f" (others {face['others']:.0f})")
            for face in worst(faces).to_dict("records")
        ]
        caption = (
            "Largest errors of that trial, in parentheses the median prediction of the other "
            "trials. A wrong label or a poor picture shows in all of them."
        )
        blocks.append(Faces(worst_faces, captions, caption))
    return Section("Faces", blocks)


def _bands(faces: pd.DataFrame, target: TargetConfig) -> pd.DataFrame:
    """Returns a row for each band that has faces.

    The columns are band, n, and mean absolute error and bias (prediction minus label) with the
    ends of their 95 % intervals, `_low` and `_high`.
    """
    index = band_of(faces["label"].to_numpy(float), target.bands)
    bands = []
    for band, ends in enumerate(target.bands):
        signed = (faces["prediction"] - faces["label"]).to_numpy(float)[index == band]
        if len(signed):
            row = {"band": band_name(*ends), "n": len(signed)}
            bands.append({**row, **_mean("mae", np.abs(signed)), **_mean("bias", signed)})
    return pd.DataFrame(bands)


def _band_blocks(bands: pd.DataFrame, target: TargetConfig) -> list[Block]:
    name = f"{target.column}_bands"
    cells = pd.DataFrame(
        {
            target.name: band["band"],
            "n": str(band["n"]),
            "MAE [95 %]": interval(band["mae"], band["mae_low"], band["mae_high"], "", 1),
            "bias [95 %]": interval(band["bias"], band["bias_low"], band["bias_high"], "+", 1),
        }
        for band in bands.to_dict("records")
    )
    caption = (
        f"MAE and bias of that trial by {target.name}. Positive bias: predicted too high. Models "
        f"predict towards the mean {target.name}."
    )
    return [
        Picture(name, _bands_figure(bands, target), caption),
        Table(name, cells, f"In {target.unit}. Below about 30 faces the intervals are too narrow."),
    ]


def _tendency(faces: pd.DataFrame, bands: pd.DataFrame, target: TargetConfig) -> str:
    """Returns sentences on the bias in the lowest and the highest band, and on the slope.

    The slope is that of the least-squares line of prediction on label.
    """
    parts = []
    for index in sorted({0, len(bands) - 1}):
        band = bands.iloc[index]
        too_low, too_high = band["bias_high"] < 0, band["bias_low"] > 0
        tendency = "too high" if too_high else "too low" if too_low else "without a clear bias"
        parts.append(
            f"{target.name} {band['band']} is predicted {tendency} ({band['bias']:+.1f} "
            f"{target.unit}, n = {band['n']})"
        )
    text = f"{capitalized('; '.join(parts))}."
    covariance = np.cov(faces["label"], faces["prediction"], bias=True)
    if covariance[0, 0]:
        slope = covariance[0, 1] / covariance[0, 0]
        text += (
            f" The slope of prediction on {target.name} is {slope:.2f}; below 1, "
            "predictions are drawn to the mean."
        )
    return text


def _mean(name: str, values: np.ndarray) -> dict[str, float]:
    low, high = mean_interval(values)
    return {name: float(values.mean()), names.low(name): low, names.high(name): high}


def _bands_figure(bands: pd.DataFrame, target: TargetConfig) -> Figure:
    """Returns MAE and bias by band, with intervals."""
    labels = [f"{row.band}\nn={row.n}" for row in bands.itertuples()]
    positions = np.arange(len(labels))
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    (mae, mae_halves), (bias, bias_halves) = (_bars(bands, key) for key in ("mae", "bias"))
    upper.bar(positions, mae, yerr=mae_halves, capsize=3, color=TRAIN, alpha=0.75,
              label="MAE, 95 % interval")  # fmt: skip
    lower.errorbar(positions, bias, yerr=bias_halves, fmt="o", capsize=3, color=VAL,
                   label="bias, 95 % interval")  # fmt: skip
    lower.axhline(0, color="0.2", linewidth=1)
    upper.set_ylabel(with_unit("MAE", target.unit))
    lower.set_ylabel(f"{with_unit('bias', target.unit)}\n+ is predicted too high")
    lower.set_xticks(positions, labels, fontsize=7)
    lower.set_xlabel(f"{with_unit(target.name, target.unit)}, number of validation faces")
    for axes in (upper, lower):
        axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, fontsize=9, frameon=False)
    return figure


def _bars(bands: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns means and lengths of error bars, which are 0 without an interval."""
    value, low, high = bands[[name, names.low(name), names.high(name)]].to_numpy(float).T
    return value, np.nan_to_num([value - low, high - value])
