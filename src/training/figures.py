"""Figures of one trial."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.config import TargetConfig
from src.core import names
from src.core.metrics import band_of
from src.training.history import History
from src.training.measurement import Measured

_TRAIN, _VAL = "#0072b2", "#d55e00"  # distinct in gray and to colour-blind eyes


def learning_curve(history: History, title: str, target: TargetConfig) -> Figure:
    """Returns training and validation MAE by epoch, with the gap shaded and the best marked.

    Both are in inference mode on pictures without augmentation.
    """
    epochs = [record[names.EPOCH] for record in history.epochs]
    train = np.array([record[names.TRAIN_MAE] for record in history.epochs])
    val = np.array(history.curve)
    best_epoch = history.best_epoch
    axes = _axes(7, 4.2, title)
    axes.fill_between(epochs, train, val, color="0.85", label="generalisation gap")
    axes.plot(epochs, train, color=_TRAIN, linestyle="--", marker=".", label="training faces")
    axes.plot(epochs, val, color=_VAL, marker=".", label="validation faces")
    best = val[best_epoch - 1]
    axes.plot([best_epoch], [best], "*", color=_VAL, markersize=14,
              label=f"best: {best:.2f} {target.unit}, epoch {best_epoch}")  # fmt: skip
    axes.set(xlabel="epoch", ylabel=f"MAE ({target.unit})")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return axes.figure.figure


def predicted_against_true(val: Measured, title: str, target: TargetConfig) -> Figure:
    """Returns each validation face's label and prediction, with the means of the bands."""
    labels, predictions = val.part.labels, val.predictions
    low = float(min(labels.min(), predictions.min(), 0))
    high = float(max(labels.max(), predictions.max(), 1)) * 1.03
    axes = _axes(5.6, 5.4, title)
    axes.scatter(labels, predictions, s=9, alpha=0.35, color=_TRAIN, linewidths=0,
                 label=f"{len(labels)} validation faces")  # fmt: skip
    axes.plot([low, high], [low, high], color="0.3", linewidth=1, label="no error")
    bands = band_of(labels, target.bands)
    present = np.unique(bands[bands >= 0])
    axes.plot(
        [labels[bands == band].mean() for band in present],
        [predictions[bands == band].mean() for band in present],
        color=_VAL, marker="o", markersize=5, label="mean by band",
    )  # fmt: skip
    axes.set(xlabel=f"{target.name} ({target.unit})",
             ylabel=f"predicted {target.name} ({target.unit})",
             xlim=(low, high), ylim=(low, high))  # fmt: skip
    axes.legend(loc="upper left")
    return axes.figure.figure


def _axes(width: float, height: float, title: str) -> Axes:
    """Returns the axes of a new figure of this size, in inches."""
    axes = Figure(figsize=(width, height), layout="constrained").subplots()
    axes.grid(alpha=0.3)
    axes.set_title(title)
    return axes
