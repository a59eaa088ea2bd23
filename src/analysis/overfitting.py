"""Does a trial overfit, from when on, and by how much?"""

import math
from dataclasses import dataclass
from enum import StrEnum, auto

import numpy as np
import pandas as pd

from src.core.names import State
from src.records.trial import TrialRecord

DIVERGED_RATIO = 1.5
UNDERFIT_RATIO = 0.8
OVERFIT_SHARE = 0.25
OVERFIT_DEGRADATION = 0.05

RULE = f"""The verdict is the first of these that holds, at a trial's best epoch unless said
otherwise. *Diverged*: it ended without a finite error, or its last validation MAE is over
{DIVERGED_RATIO:g} times that of always guessing the median age. *Underfit*: its training MAE is
over {UNDERFIT_RATIO:.0%} of that predictor's. *Overfits*: the gap is over {OVERFIT_SHARE:.0%} of
the validation MAE, or after the best epoch the validation MAE rose by over
{OVERFIT_DEGRADATION:.0%} while the training MAE fell. *Fits*: none of these. The thresholds are
conventions of this report, not tests.""".replace("\n", " ")


class Verdict(StrEnum):
    """What became of a trial; see `RULE`."""

    diverged = auto()
    underfit = auto()
    overfits = auto()
    fits = auto()
    unknown = auto()


@dataclass(frozen=True)
class Overfitting:
    """A trial's overfitting.

    Attributes:
        verdict: See `RULE`; unknown of a trial that runs or waits, or has no epoch.
        onset_epoch: The best epoch, where training errors fell further after it; None where
            validation improved to the end, or training stopped improving too.
        degradation: Last less best validation MAE, years, >= 0; NaN before the first epoch.
    """

    verdict: Verdict
    onset_epoch: int | None
    degradation: float


def judge(trial: TrialRecord, curve: pd.DataFrame, baseline: float) -> Overfitting:
    """Judge a trial by its curves.

    Args:
        trial: In whatever state; one that has not ended has no verdict yet.
        curve: Its epochs: epoch, `mae/train`, `mae/val`; may be empty.
        baseline: MAE of always guessing the median age, years; NaN where it is not known, and
            then only an infeasible trial has a verdict.
    """
    epochs, train, val = (curve[key].to_numpy(float) for key in ("epoch", "mae/train", "mae/val"))
    known = np.isfinite(train) & np.isfinite(val)
    epochs, train, val = epochs[known], train[known], val[known]
    if not len(val):
        verdict = Verdict.diverged if "infeasible" in trial.tags else Verdict.unknown
        return Overfitting(verdict, None, math.nan)
    best = int(val.argmin())
    after = train[best + 1 :]
    goes_on = len(after) > 0 and float(after.min()) < train[best]
    onset = int(epochs[best]) if goes_on else None
    degradation = float(val[-1] - val[best])
    return Overfitting(
        _verdict(trial, baseline, train[best], val[best], val[-1], degradation if goes_on else 0.0),
        onset,
        degradation,
    )


def _verdict(
    trial: TrialRecord,
    baseline: float,
    train: float,
    val: float,
    last: float,
    degradation: float,
) -> Verdict:
    if "infeasible" in trial.tags:
        return Verdict.diverged
    if math.isnan(baseline) or trial.state in (State.RUNNING, State.WAITING):
        return Verdict.unknown
    if last > DIVERGED_RATIO * baseline:
        return Verdict.diverged
    if train > UNDERFIT_RATIO * baseline:
        return Verdict.underfit
    if val - train > OVERFIT_SHARE * val or degradation > OVERFIT_DEGRADATION * val:
        return Verdict.overfits
    return Verdict.fits
