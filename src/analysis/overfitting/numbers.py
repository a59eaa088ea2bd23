"""Overfitting of a trial: verdict, onset and degradation."""

import math
from dataclasses import dataclass
from enum import StrEnum, auto

import numpy as np
import pandas as pd

from src.core import names
from src.core.names import State
from src.records.trial import TrialRecord

DIVERGED_RATIO = 1.5
UNDERFIT_RATIO = 0.8
OVERFIT_SHARE = 0.25
OVERFIT_DEGRADATION = 0.05


def rule(name: str) -> str:
    """Returns the definition of the verdicts.

    Args:
        name: The target's.
    """
    return (
        "The verdict is the first of these that holds. It is about the best epoch, unless it says "
        "otherwise. *Diverged*: the trial ended without a finite error, or its last validation MAE "
        f"is over {DIVERGED_RATIO:g} times that of always predicting the median {name}. "
        f"*Underfit*: its training MAE is over {UNDERFIT_RATIO:.0%} of that predictor's. "
        f"*Overfits*: the gap is over {OVERFIT_SHARE:.0%} of the validation MAE, or after the best "
        f"epoch the validation MAE rose by over {OVERFIT_DEGRADATION:.0%} while the training MAE "
        "fell. *Fits*: none of these. The thresholds are conventions of this report, not tests."
    )


class Verdict(StrEnum):
    """Verdict on a trial; see `rule`."""

    diverged = auto()
    underfit = auto()
    overfits = auto()
    fits = auto()
    unknown = auto()


@dataclass(frozen=True)
class Overfitting:
    """A trial's overfitting.

    Attributes:
        verdict: See `rule`; unknown for a trial that runs or waits, or has no epoch.
        onset_epoch: The best epoch, if training errors fell further after it; None if validation
            improved to the end, or training stopped improving too.
        degradation: Last minus best validation MAE, >= 0; NaN before the first epoch.
    """

    verdict: Verdict
    onset_epoch: int | None
    degradation: float


def judge(trial: TrialRecord, curve: pd.DataFrame, baseline: float) -> Overfitting:
    """Returns the overfitting of a trial, judged by its curves.

    Args:
        trial: In any state; one that has not ended has no verdict yet.
        curve: Its epochs: epoch, `mae/train`, `mae/val`; may be empty.
        baseline: MAE of always predicting the median label; NaN where it is not known, and then
            only an infeasible trial has a verdict.
    """
    epochs, train, val = (
        curve[key].to_numpy(float) for key in (names.EPOCH, names.TRAIN_MAE, names.VAL_MAE)
    )
    known = np.isfinite(train) & np.isfinite(val)
    epochs, train, val = epochs[known], train[known], val[known]
    if not len(val):
        verdict = Verdict.diverged if names.INFEASIBLE in trial.tags else Verdict.unknown
        return Overfitting(verdict, None, math.nan)
    best = int(val.argmin())
    after = train[best + 1 :]
    still_trains = len(after) > 0 and float(after.min()) < train[best]
    rise = float(val[-1] - val[best])
    if names.INFEASIBLE in trial.tags:
        verdict = Verdict.diverged
    elif math.isnan(baseline) or trial.state in (State.RUNNING, State.WAITING):
        verdict = Verdict.unknown
    elif val[-1] > DIVERGED_RATIO * baseline:
        verdict = Verdict.diverged
    elif train[best] > UNDERFIT_RATIO * baseline:
        verdict = Verdict.underfit
    elif val[best] - train[best] > OVERFIT_SHARE * val[best] or (
        still_trains and rise > OVERFIT_DEGRADATION * val[best]
    ):
        verdict = Verdict.overfits
    else:
        verdict = Verdict.fits
    return Overfitting(verdict, int(epochs[best]) if still_trains else None, rise)
