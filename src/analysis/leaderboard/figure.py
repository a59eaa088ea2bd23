"""Leaderboard figure of the report."""

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from src.analysis.formatting import short, with_unit
from src.analysis.leaderboard.numbers import Leader, Leaderboard
from src.analysis.style import MUTED, VAL, legend_below, one_axes
from src.records.terms import Terms

MAX_LEADERS = 25


def leaders(board: Leaderboard, baselines: Mapping[str, float], terms: Terms) -> Figure:
    """Returns the objective of the best configurations with its interval, best on top.

    Args:
        board: With at least one leader.
        baselines: Errors of constant predictions, by name.
        terms: The study's.
    """
    rows = board.leaders[:MAX_LEADERS]
    names = [_short_name(row) for row in rows]
    figure, axes = one_axes(1.5 + 0.3 * len(rows), names)
    for index, row in enumerate(rows):
        half = [[max(row.value - row.low, 0)], [max(row.high - row.value, 0)]]
        is_filled = row.could_be_best is not False
        axes.errorbar(row.value, index, xerr=None if math.isnan(row.low) else half,
                      fmt="o" if is_filled else "s", capsize=3,
                      fillstyle="full" if is_filled else "none", markersize=6,
                      color=VAL if is_filled else MUTED)  # fmt: skip
    for (name, value), dash in zip(baselines.items(), ("--", ":", "-."), strict=False):
        axes.axvline(value, color="0.3", linestyle=dash, label=f"{name}: {value:.2f}")
    if board.is_tested:
        axes.plot([], [], "o", color=VAL, label="not significantly worse than the best")
    if any(row.could_be_best is False for row in rows):
        axes.plot([], [], "s", color=MUTED, fillstyle="none", label="worse than the best")
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.invert_yaxis()
    axes.set_title(" · ".join(map(short, rows[0].configuration)), loc="right", fontsize=9)
    axes.set_xlabel(f"{with_unit(terms.phrase, terms.unit)}, 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    legend_below(figure, axes)
    return figure


def _short_name(row: Leader) -> str:
    numbers = [str(trial.number) for trial in row.trials if trial.number is not None]
    values = " · ".join(row.configuration.values()) or "all"
    return f"{values}  (trial {', '.join(numbers)})" if numbers else values
