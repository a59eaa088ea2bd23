"""Colours, sizes and layout of the figures of a report."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

TRAIN, VAL, MUTED = "#0072b2", "#d55e00", "0.55"  # the first two differ in gray, too
WIDTH = 5.4  # inches; at this width, type of 10 points can be read on a phone


def one_axes(height: float, labels: Sequence[str] = ()) -> tuple[Figure, Axes]:
    """Returns axes with room for a legend below, and for row labels on the left.

    The margins are computed here: Matplotlib's constrained layout takes half of the time of a
    small report.
    """
    longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
    figure = Figure(figsize=(WIDTH, height))
    figure.subplots_adjust(
        left=min(0.16 if not labels else (0.15 + 0.07 * longest) / WIDTH, 0.6), right=0.97,
        top=1 - 0.28 / height, bottom=1.05 / height,
    )  # fmt: skip
    return figure, figure.subplots()


def row_axes(labels: Sequence[str], row_height: float, xlabel: str) -> tuple[Figure, Axes]:
    """Returns axes as `one_axes` does, with a labelled row for each label, the first on top."""
    figure, axes = one_axes(1.5 + row_height * len(labels), labels)
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(xlabel)
    axes.grid(axis="x", alpha=0.3)
    return figure, axes


def draw_interval(
    axes: Axes, row: int, value: float, low: float, high: float, is_filled: bool
) -> None:
    """Draws a value with its interval in a row; NaN for `low` where there is no interval."""
    half = [[max(value - low, 0)], [max(high - value, 0)]]
    axes.errorbar(value, row, xerr=None if math.isnan(low) else half, capsize=3, markersize=6,
                  fmt="o" if is_filled else "s", color=VAL if is_filled else MUTED,
                  fillstyle="full" if is_filled else "none")  # fmt: skip


def legend_below(figure: Figure, axes: Axes) -> None:
    """Adds a legend in the room that `one_axes` leaves below."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="lower center", ncols=2, fontsize=9, frameon=False)


def plotly_layout(height: int) -> dict[str, Any]:
    """Returns the layout that all interactive figures share; height in pixels."""
    return {"height": height, "margin": {"l": 60, "r": 20, "t": 20, "b": 60},
            "font": {"family": "system-ui, sans-serif", "size": 13}}  # fmt: skip
