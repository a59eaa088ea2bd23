"""Leaderboard section of the report."""

from collections.abc import Mapping

import pandas as pd

from src.analysis.formatting import capitalized, interval, labels, number
from src.analysis.leaderboard.figure import MAX_LEADERS, leaders
from src.analysis.leaderboard.numbers import Leader, Leaderboard, baselines, reference_leaders
from src.analysis.study_data import StudyData
from src.pages.blocks import Picture, Section, Table, Text


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
    if len(board.leaders) > MAX_LEADERS:
        caption += f"The first {MAX_LEADERS} of {len(board.leaders)}. "
    picture = Picture("leaderboard", leaders(board, constants, study.terms), caption + board.method)
    return Section("Leaderboard", [picture, _table(study, board, constants)])


def _table(study: StudyData, board: Leaderboard, constants: Mapping[str, float]) -> Table:
    terms, keys = study.terms, labels(study.keys)
    heading, column = f"{terms.title} [95 %]", terms.objective.metric.rpartition("/")[2]
    rows = [_cells(row, keys, heading) for row in board.leaders]
    values = [_values(row, keys, column) for row in board.leaders]
    for name, error in constants.items():
        rows.append({"trials": name, heading: number(error)})
        values.append({"trials": name, column: error})
    for name, row in reference_leaders(study).items():
        rows.append(_cells(row, keys, heading) | {"trials": name})
        values.append(_values(row, keys, column) | {"trials": name})
    cells = pd.DataFrame(rows).fillna("")
    caption = f"MAE and gap in {terms.target.unit}; gap: validation minus training error."
    if board.is_tested:
        caption = f"Bold: not significantly worse than the best. {caption}"
    else:
        cells = cells.drop(columns="best?")
    if len(rows) > len(board.leaders) + len(constants) and study.reference:
        caption += (
            f" {study.reference.name}: other faces and another split, for orientation only. "
            f"{study.reference.caveat}"
        )
    return Table(
        "leaderboard",
        cells,
        caption,
        pd.DataFrame(values),
        marked=[index for index, row in enumerate(board.leaders) if row.could_be_best],
        muted=range(len(board.leaders), len(rows)),
    )


def _cells(row: Leader, keys: Mapping[str, str], heading: str) -> dict[str, str]:
    numbers = [str(trial.number) if trial.number else trial.name for trial in row.trials]
    return {
        "trials": ", ".join(numbers),
        **{keys[key]: value for key, value in row.configuration.items()},
        heading: interval(row.value, row.low, row.high),
        "best?": {True: "could be", False: "no", None: ""}[row.could_be_best],
        "train MAE": number(row.train_mae),
        "gap": number(row.gap, "+"),
        "best epoch": f"{row.best_epoch:.3g}",
        "s/epoch": number(row.seconds_per_epoch, decimals=1),
        "verdict": ", ".join(dict.fromkeys(map(str, row.verdicts))),
    }


def _values(row: Leader, keys: Mapping[str, str], column: str) -> dict[str, object]:
    return {
        "trials": " ".join(str(trial.number) for trial in row.trials),
        **{keys[key]: value for key, value in row.configuration.items()},
        column: row.value, "low": row.low, "high": row.high,
        "could_be_best": row.could_be_best, "train_mae": row.train_mae, "gap": row.gap,
        "best_epoch": row.best_epoch, "seconds_per_epoch": row.seconds_per_epoch,
        "verdict": " ".join(row.verdicts),
    }  # fmt: skip
