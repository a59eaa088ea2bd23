"""Who is best, and who could be."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from src.analysis import recorded
from src.analysis.figures.leaderboard import MOST_LEADERS, leaders
from src.analysis.leaderboard import Leader, Leaderboard
from src.analysis.recorded import SeedTrial, seed_trials
from src.analysis.sections.formatting import number
from src.analysis.study_data import StudyData
from src.pages import Block, Picture, Section, Table, Text

_BASELINES = {
    "always the median age": "val/median_predictor_mae",
    "always the mean age": "val/mean_predictor_mae",
}


def leaderboard_section(study: StudyData, board: Leaderboard) -> Section:
    """The chapter; without blocks where there is nothing to say."""
    if not board.leaders:
        return Section("Leaderboard", [Text("No trial is complete: there is nothing to rank.")])
    baselines = _baselines(study)
    blocks: list[Block] = [
        Picture(
            "leaderboard",
            leaders(board, baselines),
            "Validation MAE of each configuration; further left is better. Filled circles cannot "
            f"be told from the best; lines are what no model would reach. {_first(board)}"
            f"{board.method}",
        ),
        _leader_table(study, board, baselines),
    ]
    return Section("Leaderboard", blocks)


def _first(board: Leaderboard) -> str:
    shown, in_all = MOST_LEADERS, len(board.leaders)
    return f"The first {shown} of {in_all}. " if in_all > shown else ""


def _leader_table(study: StudyData, board: Leaderboard, baselines: Mapping[str, float]) -> Table:
    labels = _labels(study.keys)
    rows = [_cells(row, labels) for row in board.leaders]
    values = [_values(row, labels) for row in board.leaders]
    marked = [place for place, row in enumerate(board.leaders) if row.could_be_best]
    seeds = [] if study.name == recorded.NAME else list(seed_trials())
    for name, mae in baselines.items():
        rows.append({"trials": name, "val MAE [95 %]": f"{mae:.2f}"})
        values.append({"trials": name, "val_mae": mae})
    for trial in seeds:
        rows.append(_recorded_cells(trial, labels))
        values.append(
            {"trials": f"seed study {trial.number}", "val_mae": trial.best_val_mae,
             "low": trial.low, "high": trial.high, "best_epoch": trial.best_epoch}
        )  # fmt: skip
    note = (
        " The seed study's recorded trials stand beside them; other faces, another split and "
        "training errors measured with dropout and augmentation: no more than an orientation."
        if seeds
        else ""
    )
    return Table(
        "leaderboard",
        pd.DataFrame(rows).fillna(""),
        "Bold: cannot be told from the best. MAE, gap in years, in the best epoch; gap is "
        f"validation less training.{note}",
        pd.DataFrame(values),
        marked=marked,
        muted=range(len(board.leaders), len(rows)),
    )


def _labels(keys: Sequence[str]) -> dict[str, str]:
    """The last word of each key; the whole key where last words are the same."""
    words = [key.rpartition(".")[2] for key in keys]
    return {
        key: word if words.count(word) == 1 else key for key, word in zip(keys, words, strict=True)
    }


def _cells(row: Leader, labels: Mapping[str, str]) -> dict[str, str]:
    numbers = [str(trial.number) if trial.number else trial.name for trial in row.trials]
    interval = "" if math.isnan(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
    return {
        "trials": ", ".join(numbers),
        **{labels[key]: value for key, value in row.configuration.items()},
        "val MAE [95 %]": f"{row.val_mae:.2f}{interval}",
        "best?": "could be" if row.could_be_best else "no",
        "train MAE": number(row.train_mae),
        "gap": number(row.gap, "+"),
        "best epoch": f"{row.best_epoch:.3g}",
        "s/epoch": number(row.seconds_per_epoch, decimals=1),
        "verdict": ", ".join(dict.fromkeys(map(str, row.verdicts))),
    }


def _values(row: Leader, labels: Mapping[str, str]) -> dict[str, object]:
    return {
        "trials": " ".join(str(trial.number) for trial in row.trials),
        **{labels[key]: value for key, value in row.configuration.items()},
        "val_mae": row.val_mae, "low": row.low, "high": row.high,
        "could_be_best": row.could_be_best, "train_mae": row.train_mae, "gap": row.gap,
        "best_epoch": row.best_epoch, "seconds_per_epoch": row.seconds_per_epoch,
        "verdict": " ".join(row.verdicts),
    }  # fmt: skip


def _recorded_cells(trial: SeedTrial, labels: Mapping[str, str]) -> dict[str, str]:
    known = {label: trial.params[key] for key, label in labels.items() if key in trial.params}
    return {
        "trials": f"seed study, trial {trial.number}",
        **known,
        "val MAE [95 %]": f"{trial.best_val_mae:.2f} [{trial.low:.2f}, {trial.high:.2f}]",
        "train MAE": f"{trial.train_mae:.2f}",
        "gap": f"{trial.best_val_mae - trial.train_mae:+.2f}",
        "best epoch": str(trial.best_epoch),
        "s/epoch": f"{trial.seconds_per_epoch:.1f}",
    }


def _baselines(study: StudyData) -> dict[str, float]:
    found = {name: study.values(metric) for name, metric in _BASELINES.items()}
    return {
        name: float(np.nanmean(values))
        for name, values in found.items()
        if np.isfinite(values).any()
    }
