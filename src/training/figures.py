"""Pictures of one trial."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.training.history import History
from src.training.measurement import Measured

_TRAIN, _VAL = "#0072b2", "#d55e00"  # distinct in gray and to colour-blind eyes


def learning_curve(history: History, title: str) -> Figure:
    """Training and validation MAE by epoch, the gap between them shaded, the best marked.

    Both in inference mode on pictures without augmentation.
    """
    epochs = [record["epoch"] for record in history.epochs]
    train = np.array([record["mae/train"] for record in history.epochs])
    val = np.array([record["mae/val"] for record in history.epochs])
    best_epoch = history.best_epoch
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(epochs, train, val, color="0.85", label="generalisation gap")
    axes.plot(epochs, train, color=_TRAIN, linestyle="--", marker=".", label="training faces")
    axes.plot(epochs, val, color=_VAL, marker=".", label="validation faces")
    best = val[best_epoch - 1]
    axes.plot([best_epoch], [best], "*", color=_VAL, markersize=14,
              label=f"best: {best:.2f} years, epoch {best_epoch}")  # fmt: skip
    axes.set(xlabel="epoch", ylabel="MAE (years)", title=title)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def predicted_against_true(val: Measured, title: str) -> Figure:
    """Each validation face, its age against the model's guess, with the mean guess by age."""
    ages, predictions = val.part.ages, val.predictions
    limit = float(max(ages.max(), predictions.max(), 1)) * 1.03
    figure = Figure(figsize=(5.6, 5.4), layout="constrained")
    axes = figure.subplots()
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
    axes.set(xlabel="age (years)", ylabel="predicted age (years)", title=title,
             xlim=(0, limit), ylim=(min(0, float(predictions.min())), limit))  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure
