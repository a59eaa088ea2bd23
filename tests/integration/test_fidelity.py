"""Trials that may spend only some of their epochs, and go on when they are promoted."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from src.tracking.checkpoints import checkpoint_folder, forget
from src.training.callbacks import EpochEnd
from src.training.checkpoint import open_checkpoint
from tests.integration.stored import curve, fetch, same_numbers

pytestmark = pytest.mark.slow


@pytest.fixture
def run(run):
    """A trial that may be promoted."""
    return lambda *overrides: run("fit.keep_state=true", *overrides)


def saved_states() -> list[Path]:
    return list(Path("mlruns/checkpoints").rglob("last.npy"))


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer=adamw", "schedule=warmup_cosine", "augmentation=standard"],
        ["optimizer=sgd", "schedule=cosine", "optimizer.learning_rate=1e-3"],
        ["fit.precision=mixed_float16"],
    ],
    ids=" ".join,
)
def test_promoted_trial_comes_to_the_numbers_of_one_that_ran_at_once(run, overrides) -> None:
    at_once = run(*overrides, "study.name=at_once")
    rung = run(*overrides, "fit.fidelity=2")
    before = fetch(rung.run_id).to_dictionary()
    assert len(rung.history) == 2
    assert rung.history.curve == at_once.history.curve[:2]

    promoted = run(*overrides, "fit.fidelity=4")

    assert same_numbers(promoted, at_once)
    assert promoted.run_id != rung.run_id
    for key in ("mae/train", "mae/val", "loss/running", "learning_rate"):
        assert curve(promoted.run_id, key) == curve(at_once.run_id, key), key
    assert fetch(promoted.run_id).data.params["fit.fidelity"] == "4"
    assert fetch(rung.run_id).to_dictionary() == before


def test_state_is_kept_for_a_promotion_and_no_longer(run) -> None:
    assert run("fit.fidelity=1").state == "COMPLETE"
    assert len(saved_states()) == 1
    run("fit.fidelity=3")
    assert len(saved_states()) == 1
    run("fit.fidelity=4")
    assert not saved_states()
    run("fit.epochs=30", "fit.fidelity=20", "fit.early_stopping_patience=2",
        "optimizer.learning_rate=0.3")  # fmt: skip
    assert not saved_states()  # it would stop at once


def test_same_fidelity_again_is_a_run_of_its_own_with_the_same_numbers(run) -> None:
    first, again = run("fit.fidelity=2"), run("fit.fidelity=2")
    assert again.run_id != first.run_id
    assert same_numbers(first, again)
    assert curve(again.run_id, "mae/val") == curve(first.run_id, "mae/val")


def test_lower_fidelity_than_the_saved_one_starts_again(run, capsys) -> None:
    undisturbed = run("fit.fidelity=2", "study.name=undisturbed")
    run("fit.fidelity=3")
    lower = run("fit.fidelity=2")
    assert "starts again" in capsys.readouterr().err
    assert len(lower.history) == 2
    assert same_numbers(lower, undisturbed)


def test_interrupted_promotion_continues_in_its_own_run(run, monkeypatch) -> None:
    """Also when not one of its epochs was finished."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    at_once = run("study.name=at_once")
    rung = run("fit.fidelity=2")
    with monkeypatch.context() as patched:
        patched.setattr(EpochEnd, "on_epoch_begin", die)
        with pytest.raises(KeyboardInterrupt):
            run()
    (killed,) = MlflowClient().search_runs(["1"], "attributes.status = 'KILLED'")
    assert killed.info.run_id != rung.run_id
    resumed = run()
    assert resumed.run_id == killed.info.run_id
    assert same_numbers(resumed, at_once)
    assert curve(resumed.run_id, "mae/val") == curve(at_once.run_id, "mae/val")


def test_run_of_a_lower_fidelity_that_was_interrupted_is_not_another_ones(
    run, run_until_epoch
) -> None:
    killed = run_until_epoch(1, "fit.fidelity=2")
    whole = run()
    assert whole.run_id != killed.info.run_id
    assert [step for step, _ in curve(whole.run_id, "mae/val")] == [1, 2, 3, 4]


def test_trial_that_will_not_be_promoted_can_be_forgotten(run, small_config) -> None:
    rung = run("fit.fidelity=2")
    digest = fetch(rung.run_id).data.tags["data_digest"]
    config = small_config("fit.fidelity=2")
    folder = checkpoint_folder(config, digest)
    assert folder == checkpoint_folder(small_config(), digest)
    assert [file.parent for file in saved_states()] == [folder]
    with open_checkpoint(folder):  # by its own process, as far as anyone can tell
        forget(folder)
    assert saved_states()
    forget(folder)
    assert not folder.exists()
    forget(folder)  # nothing there
    assert not folder.exists()
