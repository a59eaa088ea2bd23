"""Trials that are cut short because others of their study do better."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from src.training import TrialResult, finish
from tests.integration.stored import artifacts, curve, fetch

pytestmark = pytest.mark.slow

MEDIAN = ["pruner=median", "pruner.warmup_epochs=2", "pruner.min_trials=1"]
WORSE = ["optimizer.learning_rate=10", *MEDIAN]


@pytest.fixture
def better(run) -> TrialResult:
    """A trial of the study that is through."""
    return run(*MEDIAN)


def test_pruned_trial_is_as_complete_in_mlflow_as_any(run, better) -> None:
    result = run(*WORSE, "tracking.keep_model=all")
    assert better.state == "COMPLETE"
    assert result.state == "PRUNED"
    assert len(result.history) == 2
    assert result.value == min(result.history.curve) > better.value
    stored = fetch(result.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.tags["state"] == "PRUNED"
    assert stored.data.tags["pruned"] == result.pruned
    assert result.headline().startswith(f"Pruned: {result.pruned}. Validation MAE")
    assert stored.data.tags["mlflow.note.content"] == result.headline()
    assert [step for step, _ in curve(result.run_id, "mae/val")] == [1, 2]
    assert stored.data.metrics.keys() == fetch(better.run_id).data.metrics.keys()
    assert artifacts(result.run_id) == artifacts(better.run_id)
    assert not stored.outputs.model_outputs
    assert not list(Path("mlruns/checkpoints").rglob("*.npy"))


def test_trial_killed_after_the_decision_is_pruned_when_it_continues(
    run, better, monkeypatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(finish, "final_metrics", die)
        with pytest.raises(KeyboardInterrupt):
            run(*WORSE)
    (killed,) = MlflowClient().search_runs(["1"], "attributes.status = 'KILLED'")
    assert killed.data.tags["state"] == "WAITING"
    result = run(*WORSE)
    assert result.state == "PRUNED"
    assert result.run_id == killed.info.run_id
    assert [step for step, _ in curve(result.run_id, "mae/val")] == [1, 2]


def test_trial_that_no_longer_is_pruned_loses_the_mark(run, better, monkeypatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(finish, "final_metrics", die)
        with pytest.raises(KeyboardInterrupt):
            run(*WORSE)
    result = run(*WORSE, "pruner=none")
    assert result.state == "COMPLETE"
    assert len(result.history) == 4
    assert "pruned" not in fetch(result.run_id).data.tags


def test_trial_of_another_study_is_no_sibling(run, better) -> None:
    assert run(*WORSE, "study.name=another").state == "COMPLETE"


@pytest.mark.parametrize(
    "overrides", [["pruner=none"], ["pruner.warmup_epochs=4"], ["fit.fidelity=2"]], ids=str
)
def test_store_is_not_asked_where_nothing_can_be_decided(run, monkeypatch, overrides) -> None:
    monkeypatch.setattr("src.training.callbacks.sibling_curves", lambda *_: 1 / 0)
    assert run(*WORSE, *overrides).state == "COMPLETE"


def test_asha_keeps_the_better_of_two(run) -> None:
    asha = ["pruner=asha", "pruner.warmup_epochs=1", "pruner.reduction_factor=2"]
    worse = [*WORSE, *asha]
    first, second, third = run(*worse), run(*asha), run(*worse, "seed=1")
    assert [trial.state for trial in (first, second, third)] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert len(third.history) == 1
