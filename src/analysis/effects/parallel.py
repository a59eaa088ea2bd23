"""Parallel coordinates: all hyperparameters and outcomes of a trial as one line."""

import math
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from src.analysis.effects.numbers import Effects
from src.analysis.formatting import with_unit
from src.analysis.study_data import StudyData
from src.analysis.style import legend_below, one_axes, plotly_layout
from src.core import names


def parallel_coordinates(study: StudyData, effects: Effects) -> Figure:
    """Returns a line for each trial through its hyperparameters to its objective; dark is good."""
    objective, values = study.terms.objective, study.values(study.terms.objective.metric)
    costs = np.array([objective.cost(value) for value in values])
    axes_values = [*(factor.positions for factor in effects.factors), values]
    labels = [*(factor.label for factor in effects.factors), _objective_label(study)]
    scaled = np.column_stack([_unit(values) for values in axes_values])
    order = np.argsort(-costs)  # the best are drawn last, on top
    good = np.linspace(0, 1, len(values)) if len(values) > 1 else np.array([1.0])
    figure, axes = one_axes(3.9)
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
        "layout": plotly_layout(420) | {"margin": {"l": 60, "r": 30, "t": 50, "b": 30}},
    }


def _objective_label(study: StudyData) -> str:
    return with_unit(study.terms.title, study.terms.unit)


def _unit(values: np.ndarray) -> np.ndarray:
    """Returns the values scaled to [0, 1]."""
    span = np.ptp(values)
    return (values - values.min()) / span if span else np.full(len(values), 0.5)
