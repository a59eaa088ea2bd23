"""A trial is run again from what the store kept of it."""

import sys
from collections.abc import Callable

import pytest
from hydra.core.global_hydra import GlobalHydra
from mlflow.tracking import MlflowClient

from src.core.names import State
from src.records.trial import TrialRecord
from src.replay import main
from src.tracking.study import StudyStore

pytestmark = pytest.mark.slow


@pytest.fixture
def replay(monkeypatch, capsys) -> Callable[..., str]:
    """Type a command in this process, where the small network stands in; what it printed."""

    def replayed(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["replay", *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
        # Closes the stream that absl has from when TensorFlow was imported: here, pytest's own.
        monkeypatch.setattr("hydra._internal.logging_config.configure_logging", lambda config: None)
        GlobalHydra.instance().clear()
        capsys.readouterr()
        main()
        return capsys.readouterr().out

    return replayed


def trials(study: str) -> list[TrialRecord]:
    return StudyStore("face-age", study).trials()


def test_replay_comes_to_the_same_numbers_in_a_study_of_its_own(run, replay) -> None:
    cache = r"data.cache_dir='a, b: \${c}'"
    original = run("study.name=mine", "study.trial=3", "seed=2", cache)
    shown = replay("mine", "3")
    (recorded,), (again,) = trials("mine"), trials("mine replayed")
    assert again.number == 3
    assert again.state is State.COMPLETE
    assert again.configuration_hash == recorded.configuration_hash
    assert again.metrics["best/val_mae"] == original.val_mae
    assert again.params["data.cache_dir"] == "a, b: ${c}"
    assert again.params["tracking.keep_model"] == "none"
    assert f"recorded {original.val_mae!r}, replayed {original.val_mae!r} years" in shown
    assert shown.rstrip().endswith("equal, bit for bit.")


def test_replay_with_changes_tells_that_it_is_another_configuration(run, replay) -> None:
    run("study.name=mine", "study.trial=3", "fit.epochs=2")
    shown = replay("mine", "3", "fit.epochs=1", "study.name=shorter", "optimizer=sgd")
    (again,) = trials("shorter")
    assert again.params["fit.epochs"] == "1"
    assert again.params["optimizer.name"] == "SGD"
    assert "not equal; neither are the configurations." in shown


def test_interrupted_replay_goes_on(run, run_until_epoch, replay) -> None:
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
    assert "came to no result that this one could be compared with" in shown


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
    ("arguments", "told"),
    [
        (["mime", "1"], 'has no study "mime". Received: STUDY=mime. Fix: mine'),
        (["mine", "9"], 'Trial 9 is not in study "mine" (it has 1, numbered 2–2)'),
        (["mine", "2"], "no recorded configuration: it is WAITING and never began to train"),
        (["--experiment", "face", "mine", "2"], "Received: --experiment face. Fix: face-age"),
    ],
)
def test_what_cannot_be_replayed_is_explained(in_tmp_path, replay, arguments, told) -> None:
    StudyStore("face-age", "mine").create_trial("trial 2", {"trial": "2"})
    with pytest.raises(SystemExit) as ending:
        replay(*arguments)
    assert told in str(ending.value.code)


def test_record_of_an_older_schema_is_completed_and_says_so(in_tmp_path, replay) -> None:
    run_id = StudyStore("face-age", "mine").create_trial("trial 2", {"trial": "2"})
    MlflowClient().log_dict(run_id, {"seed": 3, "data.batch_size": 5}, "config.json")
    shown = replay("mine", "2", "--cfg", "job")
    assert "Not in the record, so at today's values: data.layout, data.root" in shown
    assert "batch_size: 5" in shown
