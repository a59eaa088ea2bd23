"""Effect figures of the report."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from src.analysis import style
from src.analysis.effects.numbers import ALPHA, LABELS, Effect, Effects, unit_of
from src.analysis.formatting import short, with_unit
from src.analysis.study_data import StudyData
from src.analysis.style import MUTED, TRAIN, VAL, WIDTH, legend_below
from src.config.study_schema import ClaimOutcome
from src.core import names
from src.records.terms import Terms

MAX_FACTORS = 6


def effects_forest(effects: Effects, outcome: ClaimOutcome, terms: Terms) -> Figure:
    """Returns the effect of each change of a hyperparameter on one outcome, with its interval."""
    rows = [each for each in effects.effects if each.outcome is outcome]
    changes = [f"{short(effect.key)}\n{effect.low} → {effect.high}" for effect in rows]
    xlabel = f"effect on {LABELS[outcome]} ({unit_of(outcome, terms)}), 95 % interval"
    figure, axes = style.row_axes(changes, 0.42, xlabel)
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
    figure, axes = style.row_axes(labels, 0.36, "decrease of the forest's R² when shuffled")
    axes.barh(range(len(labels)), means, xerr=spreads, color=TRAIN, alpha=0.75, capsize=3,
              label="mean ± sd over shuffles")  # fmt: skip
    legend_below(figure, axes)
    return figure


def parallel_coordinates(study: StudyData, effects: Effects) -> Figure:
    """Returns a line for each trial through its hyperparameters to its objective; dark is good."""
    objective, values = study.terms.objective, study.values(study.terms.objective.metric)
    costs = np.array([objective.cost(value) for value in values])
    axes_values = [*(factor.positions for factor in effects.factors), values]
    labels = [*(factor.label for factor in effects.factors), _objective_label(study)]
    scaled = np.column_stack([_unit(values) for values in axes_values])
    order = np.argsort(-costs)  # the best are drawn last, on top
    good = np.linspace(0, 1, len(values)) if len(values) > 1 else np.array([1.0])
    figure, axes = style.one_axes(3.9)
    lines = [list(enumerate(row)) for row in scaled[order]]
    grays = [str(0.85 * (1 - share)) for share in good]
    axes.add_collection(LineCollection(lines, colors=grays, linewidths=0.7 + 1.3 * good))
    axes.set_xlim(-0.3, len(labels) - 0.7)
    ends = [(factor.levels[0], factor.levels[-1]) for factor in effects.factors]
    for index, (low, high) in enumerate([*ends, (f"{values.min():.2f}", f"{values.max():.2f}")]):
        axes.text(index, -0.03, low, fontsize=8, ha="center", va="top")
        axes.text(index, 1.03, high, fontsize=8, ha="center", va="bottom")
        axes.axvline(index, color="0.4", linewidth=0.8)
    axes.plot([], [], color="0.0", linewidth=2, label="best trial")
    axes.plot([], [], color="0.8", linewidth=0.8, label="worst trial")
    axes.set_xticks(range(len(labels)), labels, fontsize=9)
    axes.set_yticks([])
    axes.set_ylim(-0.14, 1.14)
    axes.spines[:].set_visible(False)
    legend_below(figure, axes)
    return figure


def parallel_coordinates_interactive(study: StudyData, effects: Effects) -> dict[str, Any]:
    """Returns the same for Plotly, where a range can be drawn along each axis."""
    dimensions: list[dict[str, Any]] = []
    for factor in effects.factors:
        dimensions.append({"label": factor.label, "values": factor.positions.tolist()})
        if not factor.is_line or factor.is_logarithmic:
            step = math.ceil(len(factor.levels) / 12)  # at most a dozen, evenly spaced
            dimensions[-1] |= {
                "tickvals": factor.level_positions[::step].tolist(),
                "ticktext": list(factor.levels[::step]),
            }
    label, values = _objective_label(study), study.values(study.terms.objective.metric).tolist()
    gap = {"label": with_unit("gap", study.terms.target.unit),
           "values": study.values(names.BEST_GAP).tolist()}  # fmt: skip
    dimensions += [gap, {"label": label, "values": values}]
    line = {"color": values, "colorscale": "Viridis", "showscale": True,
            "colorbar": {"title": {"text": label.replace(" (", "<br>(")}}}  # fmt: skip
    return {
        "data": [{"type": "parcoords", "dimensions": dimensions, "line": line}],
        "layout": style.plotly_layout(420) | {"margin": {"l": 60, "r": 30, "t": 50, "b": 30}},
    }


def _effect_line(axes: Axes, index: int, effect: Effect) -> None:
    estimate = effect.estimate
    if estimate is None:
        axes.plot(effect.value, index, "x", color=MUTED)
        note = "confounded" if effect.confounded_with else "no interval"
        place = float(np.nan_to_num(effect.value)), index
        axes.annotate(f" {note}", place, fontsize=9, va="center")
        return
    ends = estimate.low, estimate.high
    style.draw_interval(axes, index, estimate.value, *ends, is_filled=effect.p_adjusted < ALPHA)


def _objective_label(study: StudyData) -> str:
    return with_unit(study.terms.title, study.terms.unit)


def _unit(values: np.ndarray) -> np.ndarray:
    """Returns the values scaled to [0, 1]."""
    span = np.ptp(values)
    return (values - values.min()) / span if span else np.full(len(values), 0.5)
