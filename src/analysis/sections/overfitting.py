"""How each trial overfits."""

import math

import pandas as pd

from src.analysis.figures import overfitting as figures
from src.analysis.leaderboard import Leaderboard
from src.analysis.overfitting import RULE
from src.analysis.sections.formatting import number
from src.analysis.study_data import StudyData
from src.pages import Block, Picture, Section, Table, Text


def overfitting_section(study: StudyData, board: Leaderboard) -> Section:
    """The chapter; without blocks where there is nothing to say."""
    begun = [trial for trial in study.trials if len(study.curve(trial))]
    if not begun:
        return Section("Overfitting", [])
    more = len(begun) - figures.MOST_CURVES
    rest = f" The other {more} are on MLflow's charts." if more > 0 else ""
    blocks: list[Block] = [
        Picture(
            "curves",
            figures.curves(study, board),
            f"Each trial's MAE by epoch, best trials first{_how_measured(study)}. The gray area is "
            "the generalisation gap, the star the best epoch, the dotted line the onset: from "
            f"there on training improves and validation does not.{rest}",
        )
    ]
    if study.compared:
        blocks.append(
            Picture(
                "gap_against_mae",
                figures.gap_against_mae(study),
                "Each trial's generalisation gap against its validation MAE, both in its best "
                "epoch. Lower left is better; on the dashed Pareto front nothing is better in "
                "both. A small gap alone is no merit: who learns nothing has none.",
                figures.gap_against_mae_interactive(study),
            )
        )
    return Section("Overfitting", [*blocks, _overfitting_table(study), Text(RULE)])


def _how_measured(study: StudyData) -> str:
    own = "; both errors in inference mode on unchanged pictures"
    return "" if study.caveat else own


def _overfitting_table(study: StudyData) -> Table:
    rows, values = [], []
    for trial in study.trials:
        found = study.overfitting[trial.run_id]
        metrics = trial.metrics
        state = "INFEASIBLE" if "infeasible" in trial.tags else str(trial.state)
        gap, low, high = (metrics.get(f"best/gap{end}", math.nan) for end in ("", "_low", "_high"))
        interval = "" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]"
        name = str(trial.number) if trial.number is not None else trial.name
        rows.append(
            {"trial": name, "state": state, "verdict": str(found.verdict),
             "gap [95 %]": number(gap, "+") + interval,
             "onset epoch": "" if found.onset_epoch is None else str(found.onset_epoch),
             "degradation": number(found.degradation, "+"),
             "why": (trial.tags.get("infeasible") or trial.tags.get("pruned")
                     or trial.tags.get("failure", "")).split("\n")[0]}
        )  # fmt: skip
        values.append(
            {"trial": name, "state": state, "verdict": str(found.verdict), "gap": gap,
             "gap_low": low, "gap_high": high, "onset_epoch": found.onset_epoch,
             "degradation": found.degradation}
        )  # fmt: skip
    cells = pd.DataFrame(rows)
    if not cells["why"].any():
        cells = cells.drop(columns="why")
    return Table(
        "overfitting",
        cells,
        "Gap in the best epoch, its interval over faces; onset: the best epoch, where training "
        "went on to improve; degradation: last less best validation MAE. Years.",
        pd.DataFrame(values),
    )
