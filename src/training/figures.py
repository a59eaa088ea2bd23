"""Pictures of one trial.

Both are drawn anew into axes that stay: to make their ticks and labels takes Matplotlib longer
than to draw them. So a figure is to be kept (`Run.log_figure`) before the next of its kind is asked
for.
"""

import functools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from src.training.history import History
from src.training.measurement import Measured

_TRAIN, _VAL = "#0072b2", "#d55e00"  # distinct in gray and to colour-blind eyes

# Inches from the figure's edges to where Matplotlib's constrained layout puts axes and labels; to
# work it out takes as long as to draw the figure.
_LEFT, _RIGHT, _BOTTOM, _TOP = 0.343, 0.042, 0.475, 0.252
_LABEL = 0.1834
_WIDTHS = {".": 0.0442, "−": 0.1164}  # of characters beside the y axis, to the left of `_LEFT`
_DIGIT_WIDTH = 0.0884


def learning_curve(history: History, title: str) -> Figure:
    """Training and validation MAE by epoch, the gap between them shaded, the best marked.

    Both in inference mode on pictures without augmentation.
    """
    epochs = [record["epoch"] for record in history.epochs]
    train = np.array([record["mae/train"] for record in history.epochs])
    val = np.array([record["mae/val"] for record in history.epochs])
    best_epoch = history.best_epoch
    axes = _empty_axes(7, 4.2)
    axes.fill_between(epochs, train, val, color="0.85", label="generalisation gap")
    axes.plot(epochs, train, color=_TRAIN, linestyle="--", marker=".", label="training faces")
    axes.plot(epochs, val, color=_VAL, marker=".", label="validation faces")
    best = val[best_epoch - 1]
    axes.plot([best_epoch], [best], "*", color=_VAL, markersize=14,
              label=f"best: {best:.2f} years, epoch {best_epoch}")  # fmt: skip
    axes.set(xlabel="epoch", ylabel="MAE (years)")
    axes.set_title(title, y=1)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return _laid_out(axes)


def predicted_against_true(val: Measured, title: str) -> Figure:
    """Each validation face, its age against the model's guess, with the mean guess by age."""
    ages, predictions = val.part.ages, val.predictions
    limit = float(max(ages.max(), predictions.max(), 1)) * 1.03
    axes = _empty_axes(5.6, 5.4)
    axes.scatter(ages, predictions, s=9, alpha=0.35, color=_TRAIN, linewidths=0,
                 label=f"{len(ages)} validation faces")  # fmt: skip
    axes.plot([0, limit], [0, limit], color="0.3", linewidth=1, label="no error")
    decades = (ages // 10).astype(int)
    present = np.unique(decades)
    axes.plot(
        [ages[decades == decade].mean() for decade in present],
        [predictions[decades == decade].mean() for decade in present],
        color=_VAL, marker="o", markersize=5, label="mean by decade",
    )  # fmt: skip
    axes.set_title(title, y=1)
    axes.set(xlabel="age (years)", ylabel="predicted age (years)", xlim=(0, limit),
             ylim=(min(0, float(predictions.min())), limit))  # fmt: skip
    axes.legend(loc="upper left")
    return _laid_out(axes)


def _empty_axes(width: float, height: float) -> Axes:
    """The axes of figures of this size, in inches, without what was drawn before."""
    axes = _axes(width, height)
    for artist in (*axes.lines, *axes.collections):
        artist.remove()
    axes.relim()
    axes.autoscale()
    return axes


@functools.cache
def _axes(width: float, height: float) -> Axes:
    figure = Figure(figsize=(width, height))
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    inches, inside = figure.dpi_scale_trans, axes.transAxes
    axes.xaxis.set_label_coords(0.5, _LABEL, blended_transform_factory(inside, inches))
    axes.yaxis.set_label_coords(_LABEL, 0.5, blended_transform_factory(inches, inside))
    return axes


def _laid_out(axes: Axes) -> Figure:
    """The figure, its axes as large as the tick labels to the left of them leave room for."""
    figure = axes.figure.figure
    width, height = figure.get_size_inches()
    low, high = axes.get_ylim()
    ticks = axes.yaxis.get_major_locator().tick_values(low, high)
    labels = axes.yaxis.get_major_formatter().format_ticks(
        [tick for tick in ticks if low <= tick <= high]
    )
    left = _LEFT + max(sum(_WIDTHS.get(c, _DIGIT_WIDTH) for c in label) for label in labels)
    axes.set_position((left / width, _BOTTOM / height,
                       1 - (left + _RIGHT) / width, 1 - (_BOTTOM + _TOP) / height))  # fmt: skip
    return figure
