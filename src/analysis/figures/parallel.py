"""Parallel coordinates: all hyperparameters of a trial at once."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from src.analysis.effects import Effects
from src.analysis.figures.style import legend_below, one_axes, plotly_layout
from src.analysis.study_data import StudyData


def parallel_coordinates(study: StudyData, effects: Effects) -> Figure:
    """A line for each trial through its hyperparameters to its error; dark is good."""
    order = np.argsort(-study.values("best/val_mae"))  # the best are drawn last, on top
    mae = study.values("best/val_mae")
    axes_values = [*(factor.places for factor in effects.factors), mae]
    labels = [*(factor.label for factor in effects.factors), "val MAE (years)"]
    scaled = np.column_stack([_unit(values) for values in axes_values])
    rank = np.empty(len(mae))
    rank[np.argsort(mae)] = np.linspace(0, 1, len(mae)) if len(mae) > 1 else [0.0]
    figure, axes = one_axes(3.9)
    good = 1 - rank[order]
    lines = [list(enumerate(row)) for row in scaled[order]]
    grays = [str(0.85 * (1 - share)) for share in good]
    axes.add_collection(LineCollection(lines, colors=grays, linewidths=0.7 + 1.3 * good))
    axes.set_xlim(-0.3, len(labels) - 0.7)
    for place, factor in enumerate(effects.factors):
        for end, text in ((0, factor.levels[0]), (1, factor.levels[-1])):
            _end_label(axes, place, end, text)
    for end, text in ((0, f"{mae.min():.2f}"), (1, f"{mae.max():.2f}")):
        _end_label(axes, len(labels) - 1, end, text)
    for place in range(len(labels)):
        axes.axvline(place, color="0.4", linewidth=0.8)
    axes.plot([], [], color="0.0", linewidth=2, label="lowest error")
    axes.plot([], [], color="0.8", linewidth=0.8, label="highest error")
    axes.set_xticks(range(len(labels)), labels, fontsize=9)
    axes.set_yticks([])
    axes.set_ylim(-0.14, 1.14)
    axes.spines[:].set_visible(False)
    legend_below(figure, axes)
    return figure


def parallel_coordinates_interactive(study: StudyData, effects: Effects) -> dict[str, Any]:
    """The same, where a range can be drawn along each axis to see its trials alone."""
    dimensions = [
        {
            "label": factor.label,
            "values": factor.places.tolist(),
            **(
                {}
                if factor.is_line and not factor.is_logarithmic
                else {
                    "tickvals": [
                        float(factor.places[factor.texts.index(level)])
                        for level in _some(factor.levels)
                    ],
                    "ticktext": list(_some(factor.levels)),
                }
            ),
        }
        for factor in effects.factors
    ]
    for metric, label in (("best/gap", "gap (years)"), ("best/val_mae", "val MAE (years)")):
        dimensions.append({"label": label, "values": study.values(metric).tolist()})
    line = {"color": study.values("best/val_mae").tolist(), "colorscale": "Viridis",
            "showscale": True, "colorbar": {"title": {"text": "val MAE<br>(years)"}}}  # fmt: skip
    data = [{"type": "parcoords", "dimensions": dimensions, "line": line}]
    return {
        "data": data,
        "layout": plotly_layout(420) | {"margin": {"l": 60, "r": 30, "t": 50, "b": 30}},
    }


def _unit(values: np.ndarray) -> np.ndarray:
    span = np.ptp(values)
    return (values - values.min()) / span if span else np.full(len(values), 0.5)


def _end_label(axes: Axes, place: int, end: int, text: str) -> None:
    axes.text(place, end + (0.03 if end else -0.03), text, fontsize=8, ha="center",
              va="bottom" if end else "top")  # fmt: skip


def _some(levels: Sequence[str]) -> Sequence[str]:
    """At most a dozen, evenly spread."""
    step = math.ceil(len(levels) / 12)
    return levels[::step]
