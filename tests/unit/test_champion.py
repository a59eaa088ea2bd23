import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from src.champion import _place, choose
from src.core.errors import UsageError
from src.core.names import State
from src.records.trial import TrialRecord
from src.trials import study_name

ROOT = Path(__file__).parents[2]


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
    assert choose(TRIALS, "mine", None).run_id == "replay"
    assert choose(TRIALS[:2], "mine", None).run_id == "r2"
    assert choose(TRIALS, "mine", 1).run_id == "r1"
    assert choose(TRIALS, "mine", 2).run_id == "replay"


@pytest.mark.parametrize("number", [3, 4, 5])
def test_trial_that_is_not_complete_is_refused(number: int) -> None:
    state = next(trial.state for trial in TRIALS if trial.number == number)
    with pytest.raises(UsageError, match=rf"Received: TRIAL={number}, which is {state}"):
        choose(TRIALS, "mine", number)


def test_missing_trial_and_a_study_without_a_complete_one_are_explained() -> None:
    with pytest.raises(UsageError, match=r'Trial 9 is not in study "mine"'):
        choose(TRIALS, "mine", 9)
    with pytest.raises(UsageError, match=r"Received: STUDY=mine with 3 trials"):
        choose(TRIALS[3:], "mine", None)


def test_place_counts_complete_trials_and_their_replays_once() -> None:
    assert _place(TRIALS[2], TRIALS) == (2, 1)
    assert _place(TRIALS[0], TRIALS) == (2, 2)


def test_study_may_be_typed_as_an_override() -> None:
    assert {study_name(f"{prefix}a b") for prefix in ("", "study=", "study.name=")} == {"a b"}


def test_help_and_a_missing_store_need_nothing_heavy_and_leave_no_file(in_tmp_path) -> None:
    def typed(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "src.champion", *words],
            capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    helped = typed("--help")
    assert "python -m src.champion" in helped.stdout
    assert not set(re.findall(r"\| +(\w+)", helped.stderr)) & {"tensorflow", "keras", "mlflow"}
    refused = typed("small")
    assert refused.returncode == 1
    assert "error: There is no tracking store yet." in refused.stderr
    assert not set(re.findall(r"\| +(\w+)", refused.stderr)) & {"tensorflow", "keras"}
    assert not list(in_tmp_path.iterdir())
