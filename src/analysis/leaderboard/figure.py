"""Leaderboard figure of the report."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from src.analysis.formatting import short, with_unit
from src.analysis.leaderboard.numbers import Leader, Leaderboard
from src.analysis.style import MUTED, VAL, draw_interval, legend_below, row_axes
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
    xlabel = f"{with_unit(terms.phrase, terms.unit)}, 95 % interval"
    figure, axes = row_axes(names, 0.3, xlabel)
    for index, row in enumerate(rows):
        is_filled = row.could_be_best is not False
        draw_interval(axes, index, row.value, row.low, row.high, is_filled)
    for (name, value), dash in zip(baselines.items(), ("--", ":", "-."), strict=False):
        axes.axvline(value, color="0.3", linestyle=dash, label=f"{name}: {value:.2f}")
    if board.is_tested:
        axes.plot([], [], "o", color=VAL, label="not significantly worse than the best")
    if any(row.could_be_best is False for row in rows):
        axes.plot([], [], "s", color=MUTED, fillstyle="none", label="worse than the best")
    axes.set_title(" · ".join(map(short, rows[0].configuration)), loc="right", fontsize=9)
    legend_below(figure, axes)
    return figure


def _short_name(row: Leader) -> str:
    numbers = [str(trial.number) for trial in row.trials if trial.number is not None]
    values = " · ".join(row.configuration.values()) or "all"
    return f"{values}  (trial {', '.join(numbers)})" if numbers else values
