"""Errors by age."""

import numpy as np
from matplotlib.figure import Figure

from src.analysis.faces import FaceErrors
from src.analysis.figures.style import TRAIN, VAL, WIDTH


def age_bands(errors: FaceErrors) -> Figure:
    """MAE and bias of the best trial by age band, with intervals."""
    names = [f"{band.name}\nn={band.count}" for band in errors.bands]
    places = np.arange(len(names))
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    mae = np.array([band.mae for band in errors.bands])
    bias = np.array([band.bias for band in errors.bands])
    upper.bar(places, mae[:, 0], yerr=_halves(mae), capsize=3, color=TRAIN, alpha=0.75,
              label="MAE, 95 % interval")  # fmt: skip
    lower.errorbar(places, bias[:, 0], yerr=_halves(bias), fmt="o", capsize=3, color=VAL,
                   label="bias, 95 % interval")  # fmt: skip
    lower.axhline(0, color="0.2", linewidth=1)
    upper.set_ylabel("MAE (years)")
    lower.set_ylabel("bias (years)\n+ is guessed too old")
    lower.set_xticks(places, names, fontsize=7)
    lower.set_xlabel("age (years), number of validation faces")
    for axes in (upper, lower):
        axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, fontsize=9, frameon=False)
    return figure


def _halves(rows: np.ndarray) -> np.ndarray:
    """Lengths of error bars from (value, low, high); none where there is no interval."""
    return np.nan_to_num(np.abs(rows[:, 1:] - rows[:, :1])).T
