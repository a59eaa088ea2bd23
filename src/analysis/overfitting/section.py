"""Overfitting section of the report."""

import math

import pandas as pd

from src.analysis.formatting import interval, number
from src.analysis.leaderboard.numbers import Leaderboard
from src.analysis.overfitting import figure
from src.analysis.overfitting.numbers import rule
from src.analysis.study_data import StudyData
from src.core import names
from src.pages.blocks import Block, Picture, Section, Table, Text
from src.records.trial import TrialRecord


def overfitting_section(study: StudyData, board: Leaderboard) -> Section:
    """Returns the section; without blocks if no trial has an epoch."""
    begun = [trial for trial in study.trials if len(study.curve(trial))]
    if not begun:
        return Section("Overfitting", [])
    measured = "" if study.caveat else "; both errors in inference mode on unchanged pictures"
    more = len(begun) - figure.MAX_CURVES
    blocks: list[Block] = [
        Picture(
            "curves",
            figure.curves(study, board),
            f"MAE of each trial by epoch, best trials first{measured}. The gray area is the "
            "generalisation gap, the star the best epoch, the dotted line the onset: after it "
            "training improves and validation does not."
            + (f" The other {more} are in MLflow's charts." if more > 0 else ""),
        )
    ]
    if study.compared:
        blocks.append(
            Picture(
                "gap_against_mae",
                figure.gap_against_mae(study),
                "Generalisation gap of each trial against its validation MAE, both in its best "
                "epoch; lower left is better. No trial is better in both than one on the dashed "
                "Pareto front. A small gap alone is no merit: an untrained model has none.",
                figure.gap_against_mae_interactive(study),
            )
        )
    blocks += [_table(study), Text(rule(study.terms.target.name))]
    return Section("Overfitting", blocks)


def _table(study: StudyData) -> Table:
    values = pd.DataFrame(
        {
            "trial": trial.name if trial.number is None else str(trial.number),
            "state": "INFEASIBLE" if names.INFEASIBLE in trial.tags else str(trial.state),
            "verdict": str(study.overfitting[trial.run_id].verdict),
            "gap": trial.metrics.get(names.BEST_GAP, math.nan),
            "gap_low": trial.metrics.get(names.low(names.BEST_GAP), math.nan),
            "gap_high": trial.metrics.get(names.high(names.BEST_GAP), math.nan),
            "onset_epoch": study.overfitting[trial.run_id].onset_epoch,
            "degradation": study.overfitting[trial.run_id].degradation,
        }
        for trial in study.trials
    )
    cells = values[["trial", "state", "verdict"]].copy()
    gaps = values[["gap", "gap_low", "gap_high"]].to_numpy()
    cells["gap [95 %]"] = [interval(gap, low, high, "+") for gap, low, high in gaps]
    onsets = values["onset_epoch"].astype(float)
    cells["onset epoch"] = [number(epoch, decimals=0) for epoch in onsets]
    cells["degradation"] = [number(rise, "+") for rise in values["degradation"]]
    reasons = [_reason(trial) for trial in study.trials]
    if any(reasons):
        cells["reason"] = reasons
    return Table(
        "overfitting",
        values,
        "Gap: in the best epoch, with its interval over faces. Onset: the best epoch, if training "
        "improved after it. Degradation: last minus best validation MAE. In "
        f"{study.terms.target.unit}.",
        shown=cells,
    )


def _reason(trial: TrialRecord) -> str:
    """Returns the first line of the reason why a trial was stopped; empty if it was not."""
    reasons = (trial.tags.get(key) for key in (names.INFEASIBLE, names.PRUNED, names.FAILURE))
    return next(filter(None, reasons), "").split("\n")[0]
