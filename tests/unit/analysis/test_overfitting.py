import math

import pandas as pd
import pytest

from src.analysis.overfitting.numbers import Verdict, judge
from src.core.names import State
from tests.unit.analysis.made_data import record


def judged(
    train: list[float],
    val: list[float],
    tags: dict[str, str] | None = None,
    state: State = State.COMPLETE,
):
    curve = pd.DataFrame(
        {"epoch": range(1, len(val) + 1), "mae/train": train, "mae/val": val}, dtype=float
    )
    return judge(record(1, {}, {}, tags=tags or {}, state=state), curve, 13.0)


def test_onset_and_degradation_by_hand() -> None:
    found = judged([9, 7, 5, 3], [10, 8, 8.5, 9])
    assert (found.onset_epoch, found.degradation) == (2, 1.0)
    assert found.verdict is Verdict.overfits  # +1.0 of 8 years while the training error fell


@pytest.mark.parametrize(
    ("train", "val", "verdict"),
    [
        ([12, 11], [13, 12], Verdict.underfit),  # 11 > 0.8 × 13
        ([9, 8], [10, 9], Verdict.fits),
        ([5, 4], [7, 6], Verdict.overfits),  # gap 2 of 6
        ([9, 8], [10, 25], Verdict.diverged),  # 25 > 1.5 × 13
    ],
)
def test_verdicts_follow_the_stated_rule(train, val, verdict) -> None:
    assert judged(train, val).verdict is verdict


def test_validation_that_improves_to_the_end_has_no_onset() -> None:
    found = judged([9, 8, 7], [10, 9, 8])
    assert found.onset_epoch is None
    assert found.degradation == 0


def test_noise_after_training_has_stopped_improving_is_no_overfitting() -> None:
    found = judged([9, 8, 8.5], [10, 9, 9.9])
    assert found.onset_epoch is None
    assert found.verdict is Verdict.fits


def test_no_epoch_is_unknown_and_an_infeasible_trial_diverged() -> None:
    assert judged([], []).verdict is Verdict.unknown
    assert math.isnan(judged([], []).degradation)
    assert judged([], [], {"infeasible": "loss is nan"}).verdict is Verdict.diverged
    assert judged([9], [9], {"infeasible": "loss is nan"}).verdict is Verdict.diverged


def test_a_pruned_trial_is_judged_and_one_that_runs_is_not() -> None:
    assert judged([28, 27], [950, 960], state=State.PRUNED).verdict is Verdict.diverged
    assert judged([5, 4], [7, 6], state=State.PRUNED).verdict is Verdict.overfits
    assert judged([5, 4], [7, 6], state=State.RUNNING).verdict is Verdict.unknown
