"""Leaderboard section of the report."""

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from src.analysis.formatting import capitalized, interval, labels, number, short, with_unit
from src.analysis.leaderboard.numbers import Leader, Leaderboard, baselines, reference_leaders
from src.analysis.study_data import StudyData
from src.analysis.style import MUTED, VAL, draw_interval, legend_below, row_axes
from src.pages.blocks import Picture, Section, Table, Text
from src.records.terms import Terms

_MAX_LEADERS = 25


def leaderboard_section(study: StudyData, board: Leaderboard) -> Section:
    """Returns the section."""
    if not board.leaders:
        return Section("Leaderboard", [Text("No trial is complete: there is nothing to rank.")])
    constants = baselines(study)
    caption = f"{capitalized(study.terms.phrase)} of each configuration, best on top. "
    if board.is_tested:
        caption += "Filled circles are not significantly worse than the best. "
    if constants:
        caption += "Vertical lines are the errors of constant predictions. "
    if len(board.leaders) > _MAX_LEADERS:
        caption += f"The first {_MAX_LEADERS} of {len(board.leaders)}. "
    picture = Picture("leaderboard", _figure(board, constants, study.terms), caption + board.method)
    return Section("Leaderboard", [picture, _table(study, board, constants)])


def _figure(board: Leaderboard, baselines: Mapping[str, float], terms: Terms) -> Figure:
    """Returns the objective of the best configurations with its interval, best on top.

    Args:
        board: With at least one leader.
        baselines: Errors of constant predictions, by name.
        terms: The study's.
    """
    rows = board.leaders[:_MAX_LEADERS]
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


def _table(study: StudyData, board: Leaderboard, constants: Mapping[str, float]) -> Table:
    terms, keys = study.terms, labels(study.keys)
    heading, column = f"{terms.title} [95 %]", terms.objective.metric.rpartition("/")[2]
    references = reference_leaders(study)
    rows = [_values(row, keys, column) for row in board.leaders]
    rows += [{"trials": name, column: error} for name, error in constants.items()]
    rows += [_values(row, keys, column) | {"trials": name} for name, row in references.items()]
    values = pd.DataFrame(rows)
    cells = values[["trials", *keys.values()]].fillna("")
    cells["trials"] = [*map(_trials, board.leaders), *constants, *references]
    cells[heading] = [interval(*row) for row in values[[column, "low", "high"]].to_numpy(float)]
    marks = {True: "could be", False: "no"}
    cells["best?"] = [marks.get(mark, "") for mark in values["could_be_best"]]
    cells["train MAE"] = values["train_mae"].map(number)
    cells["gap"] = [number(gap, "+") for gap in values["gap"]]
    epochs = values["best_epoch"]
    cells["best epoch"] = ["" if math.isnan(epoch) else f"{epoch:.3g}" for epoch in epochs]
    cells["s/epoch"] = [number(seconds, decimals=1) for seconds in values["seconds_per_epoch"]]
    verdicts = values["verdict"].fillna("").str.split()
    cells["verdict"] = [", ".join(dict.fromkeys(each)) for each in verdicts]
    caption = f"MAE and gap in {terms.target.unit}; gap: validation minus training error."
    if board.is_tested:
        caption = f"Bold: not significantly worse than the best. {caption}"
    else:
        cells = cells.drop(columns="best?")
    if references and study.reference:
        caption += (
            f" {study.reference.name}: other faces and another split, for orientation only. "
            f"{study.reference.caveat}"
        )
    return Table(
        "leaderboard",
        values,
        caption,
        shown=cells,
        marked=[index for index, row in enumerate(board.leaders) if row.could_be_best],
        muted=range(len(board.leaders), len(rows)),
    )


def _trials(row: Leader) -> str:
    return ", ".join(str(trial.number) if trial.number else trial.name for trial in row.trials)


def _values(row: Leader, keys: Mapping[str, str], column: str) -> dict[str, object]:
    return {
        "trials": " ".join(str(trial.number) for trial in row.trials),
        **{keys[key]: value for key, value in row.configuration.items()},
        column: row.value, "low": row.low, "high": row.high,
        "could_be_best": row.could_be_best, "train_mae": row.train_mae, "gap": row.gap,
        "best_epoch": row.best_epoch, "seconds_per_epoch": row.seconds_per_epoch,
        "verdict": " ".join(row.verdicts),
    }  # fmt: skip
