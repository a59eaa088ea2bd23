"""What hyperparameters do, one at a time."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.analysis.effects import LABELS, UNITS, Effect, Effects
from src.analysis.figures.style import QUIET, TRAIN, VAL, WIDTH, legend_below, one_axes
from src.analysis.study_data import StudyData
from src.config.schema import ClaimOutcome

MOST_FACTORS = 6


def effects_forest(effects: Effects, outcome: ClaimOutcome) -> Figure:
    """Each change of a hyperparameter with its effect on one outcome and its interval."""
    rows = [each for each in effects.effects if each.outcome is outcome]
    changes = [_change(effect) for effect in rows]
    figure, axes = one_axes(1.5 + 0.42 * len(rows), changes)
    for place, effect in enumerate(rows):
        _effect_line(axes, place, effect)
    axes.axvline(0, color="0.2", linewidth=1)
    axes.set_yticks(range(len(rows)), changes, fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"effect on {LABELS[outcome]} ({UNITS[outcome]}), 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    axes.plot([], [], "o", color=VAL, label="stands after correction")
    axes.plot([], [], "s", color=QUIET, fillstyle="none", label="may be chance")
    legend_below(figure, axes)
    return figure


def effect_by_level(study: StudyData, effects: Effects) -> Figure:
    """Every trial's MAE and gap against each hyperparameter, with the mean of each value."""
    model = effects.factors[:MOST_FACTORS]
    figure = Figure(figsize=(WIDTH, 0.7 + 2.1 * len(model)), layout="constrained")
    grid = figure.subplots(len(model), 2, squeeze=False)
    shown = (
        ("best/val_mae", "validation MAE (years)", VAL, "o"),
        ("best/gap", "gap (years)", TRAIN, "^"),
    )
    for row, factor in zip(grid, model, strict=True):
        for axes, (metric, label, colour, marker) in zip(row, shown, strict=True):
            values = study.values(metric)
            axes.plot(factor.places, values, marker, color=colour, alpha=0.55, markersize=5,
                      label=f"trials, {label.partition(' (')[0]}")  # fmt: skip
            if not factor.is_line:
                places = [factor.places[factor.texts.index(level)] for level in factor.levels]
                means = [
                    float(np.mean(values[np.array(factor.texts) == level]))
                    for level in factor.levels
                ]
                axes.plot(places, means, color="0.15", linestyle="-", marker="_", markersize=16,
                          label="mean")  # fmt: skip
                axes.set_xticks(places, factor.levels, fontsize=9)
                axes.margins(x=0.2)
            elif factor.is_logarithmic:
                axes.xaxis.set_major_formatter(lambda place, _: f"{10**place:.0e}")
            axes.set_xlabel(factor.label, fontsize=10)
            axes.set_ylabel(label, fontsize=9)
            axes.grid(alpha=0.3)
    together = [axes.get_legend_handles_labels() for axes in grid[0]]
    handles = {label: handle for pair in together for handle, label in zip(*pair, strict=True)}
    figure.legend(
        handles.values(), handles, loc="outside upper center", ncols=3, fontsize=9, frameon=False
    )
    return figure


def importances(effects: Effects) -> Figure:
    """How much of the error's variation each hyperparameter accounts for in a random forest."""
    rows = effects.importances
    names = [row.key.rpartition(".")[2] for row in rows]
    figure, axes = one_axes(1.5 + 0.36 * len(rows), names)
    axes.barh(
        range(len(rows)), [row.mean for row in rows], xerr=[row.spread for row in rows],
        color=TRAIN, alpha=0.75, capsize=3, label="mean ± sd over shuffles",
    )  # fmt: skip
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("drop in the forest's R² when shuffled")
    axes.grid(axis="x", alpha=0.3)
    legend_below(figure, axes)
    return figure


def _effect_line(axes: Axes, place: int, effect: Effect) -> None:
    if effect.estimate is None:
        if math.isfinite(effect.value):
            axes.plot(effect.value, place, "x", color=QUIET)
        note = "confounded" if effect.confounded_with else "no interval"
        axes.annotate(f" {note}", (effect.value if math.isfinite(effect.value) else 0, place),
                      fontsize=9, va="center")  # fmt: skip
        return
    estimate = effect.estimate
    half = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
    axes.errorbar(estimate.value, place, xerr=half, capsize=3, markersize=6,
                  fmt="o" if effect.stands else "s", color=VAL if effect.stands else QUIET,
                  fillstyle="full" if effect.stands else "none")  # fmt: skip


def _change(effect: Effect) -> str:
    return f"{effect.key.rpartition('.')[2]}\n{effect.low} → {effect.high}"
