"""A trial is run again from what the store kept of it."""

import json
from collections.abc import Callable

import pytest
from mlflow.tracking import MlflowClient

from src.config import flatten
from src.core.names import State
from src.records.trial import TrialRecord
from src.replay import main
from src.tracking.study import StudyStore

pytestmark = pytest.mark.slow


@pytest.fixture
def replay(capsys) -> Callable[..., str]:
    """Type a command in this process; what it printed."""

    def replayed(*arguments: str) -> str:
        capsys.readouterr()
        main(arguments)
        return capsys.readouterr().out

    return replayed


def trials(study: str) -> list[TrialRecord]:
    return StudyStore("face-age", study).trials()


def test_replay_gives_the_same_numbers_in_a_study_of_its_own(run, replay) -> None:
    cache = r"data.cache_dir='a, b: \${c}'"
    original = run("study.name=mine", "study.trial=3", "seed=2", cache)
    shown = replay("mine", "3")
    (recorded,), (again,) = trials("mine"), trials("mine replayed")
    assert again.number == 3
    assert again.state is State.COMPLETE
    assert again.configuration_hash == recorded.configuration_hash
    assert again.metrics["best/val_mae"] == original.value
    assert again.params["data.cache_dir"] == "a, b: ${c}"
    assert again.params["tracking.keep_model"] == "none"
    assert f"recorded {original.value!r}, replayed {original.value!r} years" in shown
    assert shown.rstrip().endswith("equal, bit for bit.")


def test_replay_with_changes_says_that_it_is_another_configuration(run, replay) -> None:
    run("study.name=mine", "study.trial=3", "fit.epochs=2")
    shown = replay("study=mine", "3", "fit.epochs=1", "study=shorter", "optimizer=sgd")
    (again,) = trials("shorter")
    assert again.params["fit.epochs"] == "1"
    assert again.params["optimizer.name"] == "SGD"
    assert "not equal; neither are the configurations." in shown


def test_interrupted_replay_continues(run, run_until_epoch, replay) -> None:
    run("study.name=mine", "study.trial=3")
    run_until_epoch(2, "study.name='mine replayed'", "study.trial=3")
    (interrupted,) = trials("mine replayed")
    assert interrupted.state is State.WAITING
    shown = replay("mine", "3")
    (again,) = trials("mine replayed")
    assert again.run_id == interrupted.run_id
    assert "equal, bit for bit." in shown


def test_trial_that_was_interrupted_can_be_replayed(run_until_epoch, replay) -> None:
    run_until_epoch(1, "study.name=mine", "study.trial=1")
    shown = replay("mine", "1")
    assert trials("mine replayed")[0].state is State.COMPLETE
    assert "has no result to compare with" in shown


def test_of_several_runs_the_last_complete_one_is_replayed(run, run_until_epoch, replay) -> None:
    run("study.name=mine", "study.trial=1", "fit.epochs=1")
    last = run("study.name=mine", "study.trial=1", "fit.epochs=2")
    run_until_epoch(1, "study.name=mine", "study.trial=1", "fit.epochs=3")
    shown = replay("mine", "1")
    assert f"Trial 1 has 3 runs; this replays {last.run_id} (COMPLETE)." in shown
    assert trials("mine replayed")[0].params["fit.epochs"] == "2"


def test_showing_the_configuration_trains_nothing(run, replay) -> None:
    run("study.name=mine", "study.trial=3", "data.batch_size=5")
    shown = replay("mine", "3", "--cfg", "job")
    assert "batch_size: 5" in shown
    assert "name: mine replayed" in shown
    assert not trials("mine replayed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mime", "1"], 'has no study "mime". Received: STUDY=mime. Fix: mine'),
        (["mine", "9"], 'Trial 9 is not in study "mine" (it has 1, numbered 2–2)'),
        (["mine", "2"], "no recorded configuration: it is WAITING and never began to train"),
        (["--experiment", "face", "mine", "2"], "Received: --experiment face. Fix: face-age"),
    ],
)
def test_what_cannot_be_replayed_is_explained(in_tmp_path, replay, arguments, message) -> None:
    StudyStore("face-age", "mine").create_trial("trial 2", {"trial": "2"})
    with pytest.raises(SystemExit) as ending:
        replay(*arguments)
    assert message in str(ending.value.code)


def test_key_that_a_record_lacks_has_its_neutral_value(in_tmp_path, replay, compose_config):
    record = json.loads(json.dumps(flatten(compose_config("seed=3", "target.unit=months"))))
    older = {key: value for key, value in record.items() if not key.startswith("target.")}
    store = StudyStore("face-age", "mine")
    for number, values in ((1, older), (2, {"seed": 3})):
        run_id = store.create_trial(f"trial {number}", {"trial": str(number)})
        MlflowClient().log_dict(run_id, values, "config.json")
    shown = replay("mine", "1", "--cfg", "job")
    assert "seed: 3" in shown
    assert "unit: years" in shown
    with pytest.raises(SystemExit, match=r"missing keys data\.layout.*Fix: check out the commit"):
        replay("mine", "2", "--cfg", "job")
