"""Effect figures of the report."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.analysis.effects.numbers import LABELS, Effect, Effects, unit_of
from src.analysis.formatting import short, with_unit
from src.analysis.study_data import StudyData
from src.analysis.style import MUTED, TRAIN, VAL, WIDTH, draw_interval, legend_below, row_axes
from src.config.schema import ClaimOutcome
from src.core import names
from src.records.terms import Terms

MAX_FACTORS = 6


def effects_forest(effects: Effects, outcome: ClaimOutcome, terms: Terms) -> Figure:
    """Returns the effect of each change of a hyperparameter on one outcome, with its interval."""
    rows = [each for each in effects.effects if each.outcome is outcome]
    changes = [f"{short(effect.key)}\n{effect.low} → {effect.high}" for effect in rows]
    xlabel = f"effect on {LABELS[outcome]} ({unit_of(outcome, terms)}), 95 % interval"
    figure, axes = row_axes(changes, 0.42, xlabel)
    for index, effect in enumerate(rows):
        _effect_line(axes, index, effect)
    axes.axvline(0, color="0.2", linewidth=1)
    axes.plot([], [], "o", color=VAL, label="significant after correction")
    axes.plot([], [], "s", color=MUTED, fillstyle="none", label="not significant")
    legend_below(figure, axes)
    return figure


def effect_by_level(study: StudyData, effects: Effects) -> Figure:
    """Returns objective and gap of every trial against each hyperparameter, with means."""
    model = effects.factors[:MAX_FACTORS]
    figure = Figure(figsize=(WIDTH, 0.7 + 2.1 * len(model)), layout="constrained")
    grid = figure.subplots(len(model), 2, squeeze=False)
    terms = study.terms
    shown = (
        (terms.objective.metric, terms.phrase, terms.unit, VAL, "o"),
        (names.BEST_GAP, "gap", terms.target.unit, TRAIN, "^"),
    )
    for row, factor in zip(grid, model, strict=True):
        for axes, (metric, label, unit, colour, marker) in zip(row, shown, strict=True):
            values = study.values(metric)
            axes.plot(factor.positions, values, marker, color=colour, alpha=0.55, markersize=5,
                      label=f"trials, {label}")  # fmt: skip
            if not factor.is_line:
                texts, places = np.array(factor.texts), factor.level_positions
                means = [float(np.mean(values[texts == level])) for level in factor.levels]
                axes.plot(places, means, color="0.15", linestyle="-", marker="_", markersize=16,
                          label="mean")  # fmt: skip
                axes.set_xticks(places, factor.levels, fontsize=9)
                axes.margins(x=0.2)
            elif factor.is_logarithmic:
                axes.xaxis.set_major_formatter(lambda place, _: f"{10**place:.0e}")
            axes.set_xlabel(factor.label, fontsize=10)
            axes.set_ylabel(with_unit(label, unit), fontsize=9)
            axes.grid(alpha=0.3)
    together = [axes.get_legend_handles_labels() for axes in grid[0]]
    handles = {label: handle for pair in together for handle, label in zip(*pair, strict=True)}
    figure.legend(
        handles.values(), handles, loc="outside upper center", ncols=3, fontsize=9, frameon=False
    )
    return figure


def importances(effects: Effects) -> Figure:
    """Returns the permutation importance of each hyperparameter in a random forest."""
    labels = [short(key) for key in effects.importances]
    means, spreads = np.array(list(effects.importances.values())).T
    figure, axes = row_axes(labels, 0.36, "decrease of the forest's R² when shuffled")
    axes.barh(range(len(labels)), means, xerr=spreads, color=TRAIN, alpha=0.75, capsize=3,
              label="mean ± sd over shuffles")  # fmt: skip
    legend_below(figure, axes)
    return figure


def _effect_line(axes: Axes, index: int, effect: Effect) -> None:
    estimate = effect.estimate
    if estimate is None:
        axes.plot(effect.value, index, "x", color=MUTED)
        note = "confounded" if effect.confounded_with else "no interval"
        place = float(np.nan_to_num(effect.value)), index
        axes.annotate(f" {note}", place, fontsize=9, va="center")
        return
    ends = estimate.low, estimate.high
    draw_interval(axes, index, estimate.value, *ends, is_filled=effect.is_significant)
