from dataclasses import replace

import pytest

from src.config import Objective
from src.config.study_schema import Direction
from src.core.errors import UsageError
from src.core.names import State
from src.evaluation.choice import choose
from src.records.trial import TrialRecord

MAE = Objective()


def trial(number: int, error: float, state: State = State.COMPLETE, run: str = "") -> TrialRecord:
    return TrialRecord(
        run_id=run or f"r{number}", number=number, name=f"trial {number}", state=state,
        configuration_hash=f"c{number}", data_digest="d", tags={}, params={},
        metrics={"best/val_mae": error}, seconds=None, process=None,
    )  # fmt: skip


TRIALS = [
    trial(1, 7.5), trial(2, 6.5), trial(2, 6.5, run="replay"), trial(3, 6.0, State.PRUNED),
    trial(4, 9.0, State.FAILED), replace(trial(5, 0), state=State.WAITING, metrics={}),
]  # fmt: skip


def test_best_complete_trial_is_chosen_and_its_replay_before_itself() -> None:
    assert choose(TRIALS, "mine", None, MAE).trial.run_id == "replay"
    assert choose(TRIALS[:2], "mine", None, MAE).trial.run_id == "r2"
    assert choose(TRIALS, "mine", 1, MAE).trial.run_id == "r1"
    assert choose(TRIALS, "mine", 2, MAE).trial.run_id == "replay"


def test_best_is_the_best_by_the_objective_of_the_study() -> None:
    one, other = (
        replace(trial(number, error), metrics={"best/val_mae": error, "val/cs5": share})
        for number, error, share in ((1, 7.0, 0.4), (2, 6.0, 0.3))
    )
    choice = choose([one, other], "mine", None, Objective("val/cs5", Direction.maximize))
    assert (choice.trial.number, choice.rank) == (1, 1)
    assert choose([one, other], "mine", None, MAE).trial.number == 2


@pytest.mark.parametrize("number", [3, 4, 5])
def test_trial_that_is_not_complete_is_refused(number: int) -> None:
    state = next(trial.state for trial in TRIALS if trial.number == number)
    with pytest.raises(UsageError, match=rf"Received: TRIAL={number}, which is {state}"):
        choose(TRIALS, "mine", number, MAE)


def test_missing_trial_and_a_study_without_a_complete_one_are_explained() -> None:
    with pytest.raises(UsageError, match=r'Trial 9 is not in study "mine"'):
        choose(TRIALS, "mine", 9, MAE)
    with pytest.raises(UsageError, match=r"Received: STUDY=mine with 3 trials"):
        choose(TRIALS[3:], "mine", None, MAE)


def test_rank_counts_complete_trials_and_their_replays_once() -> None:
    for number, rank in ((2, 1), (1, 2)):
        choice = choose(TRIALS, "mine", number, MAE)
        assert (choice.num_trials, choice.rank) == (2, rank)
