"""Who is best, with intervals."""

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from src.analysis.figures.style import QUIET, VAL, legend_below, one_axes
from src.analysis.leaderboard import Leader, Leaderboard

MOST_LEADERS = 25


def leaders(board: Leaderboard, baselines: Mapping[str, float]) -> Figure:
    """Validation MAE with its interval, best on top, and what no model would reach.

    Args:
        board: With at least one leader.
        baselines: Other errors to compare with, years, by name.
    """
    rows = board.leaders[:MOST_LEADERS]
    names = [_short_name(row) for row in rows]
    figure, axes = one_axes(1.5 + 0.3 * len(rows), names)
    for place, row in enumerate(rows):
        half = [[max(row.val_mae - row.low, 0)], [max(row.high - row.val_mae, 0)]]
        axes.errorbar(row.val_mae, place, xerr=None if math.isnan(row.low) else half,
                      fmt="o" if row.could_be_best else "s", capsize=3,
                      fillstyle="full" if row.could_be_best else "none", markersize=6,
                      color=VAL if row.could_be_best else QUIET)  # fmt: skip
    for (name, value), dash in zip(baselines.items(), ("--", ":", "-."), strict=False):
        axes.axvline(value, color="0.3", linestyle=dash, label=f"{name}: {value:.2f}")
    axes.plot([], [], "o", color=VAL, label="could be the best")
    if not all(row.could_be_best for row in rows):
        axes.plot([], [], "s", color=QUIET, fillstyle="none", label="worse than the best")
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.invert_yaxis()
    keys = " · ".join(key.rpartition(".")[2] for key in rows[0].configuration)
    axes.set_title(keys, loc="right", fontsize=9)
    axes.set_xlabel("validation MAE (years), 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    legend_below(figure, axes)
    return figure


def _short_name(row: Leader) -> str:
    numbers = [str(trial.number) for trial in row.trials if trial.number is not None]
    values = " · ".join(row.configuration.values()) or "all"
    return f"{values}  (trial {', '.join(numbers)})" if numbers else values
