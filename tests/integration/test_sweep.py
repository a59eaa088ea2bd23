"""Whole studies of small trials, launched in this process by Hydra's basic launcher."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

import src.training.trial
from src.core.names import State
from src.records.trial import TrialRecord
from src.tracking.study import StudyStore
from src.train import main
from src.training.checkpoint import Checkpoint
from tests.integration.stored import artifacts, curve

pytestmark = pytest.mark.slow

SMALL = ["hydra/launcher=basic", "model.backbone=tiny", "data.num_images=60", "data.image_size=32",
         "data.batch_size=8", "fit.epochs=3", "model.weights=null", "model.input_mode=unit",
         "tracking.system_metrics=false", "tracking.keep_model=none", "study.name=s"]  # fmt: skip
LINE = "optimizer.learning_rate=tag(log,interval(1e-3,1e-2))"


@pytest.fixture
def sweep(launch) -> Callable[..., tuple[int, str]]:
    """Launch a small sweep; its exit status and printed text."""
    return lambda *arguments: launch(*SMALL, *arguments)


@pytest.fixture
def epochs_trained(monkeypatch) -> list[int]:
    """Grows by one for each state that is saved: each epoch that is really trained."""
    trained: list[int] = []
    save = Checkpoint.save

    def counted(self, regressor, history, ends=False) -> None:
        trained.append(len(history))
        save(self, regressor, history, ends)

    monkeypatch.setattr(Checkpoint, "save", counted)
    return trained


def trials() -> list[TrialRecord]:
    return StudyStore("face-age", "s").trials()


def parents() -> list:
    return MlflowClient().search_runs(["1"], "tags.kind = 'study'")


def test_same_command_again_trains_nothing_and_keeps_runs_and_parent(sweep, epochs_trained) -> None:
    grid = ["optimizer.learning_rate=1e-2,1e-3", "model.dropout_rate=0,0.2"]
    status, printed = sweep(*grid)
    assert status == 0, printed
    first = trials()
    assert [trial.number for trial in first] == [1, 2, 3, 4]
    assert {trial.state for trial in first} == {State.COMPLETE}
    assert len(epochs_trained) == 12
    (parent,) = parents()
    assert parent.info.status == "FINISHED"
    best = min(trial.metrics["best/val_mae"] for trial in first)
    assert parent.data.metrics["study/best_val_mae"] == best
    assert {trial.tags["mlflow.parentRunId"] for trial in first} == {parent.info.run_id}
    assert "trials.csv" in artifacts(parent.info.run_id)

    status, printed = sweep(*grid)
    assert status == 0
    assert "4 of them known" in printed
    assert [trial.run_id for trial in trials()] == [trial.run_id for trial in first]
    assert len(epochs_trained) == 12
    assert [run.info.run_id for run in parents()] == [parent.info.run_id]


def test_larger_grid_extends_the_study_and_numbers_stay(sweep, epochs_trained) -> None:
    sweep("optimizer.learning_rate=1e-2,1e-3")
    before = {trial.configuration_hash: trial.number for trial in trials()}
    sweep("optimizer.learning_rate=3e-3,1e-2,1e-3")
    after = {trial.configuration_hash: trial.number for trial in trials()}
    assert before.items() < after.items()
    assert sorted(after.values()) == [1, 2, 3]
    assert len(epochs_trained) == 9


def test_single_trial_of_the_study_is_taken_over(sweep, monkeypatch, epochs_trained) -> None:
    alone = [argument for argument in SMALL if "launcher" not in argument]
    monkeypatch.setattr(sys, "argv", ["train", *alone, "optimizer.learning_rate=1e-3"])
    main()
    sweep("optimizer.learning_rate=1e-2,1e-3")
    assert len(epochs_trained) == 6
    found = trials()
    assert sorted(trial.number for trial in found) == [1, 2]
    assert len({trial.tags["mlflow.parentRunId"] for trial in found}) == 1


def test_infeasible_trial_is_counted_once_and_is_no_failure(sweep) -> None:
    grid = ["optimizer.learning_rate=1e30,1e-3"]
    for _ in range(2):
        status, printed = sweep(*grid)
        assert status == 0, printed
        assert "1 complete, 1 infeasible" in printed
    (bad,) = [trial for trial in trials() if "infeasible" in trial.tags]
    assert bad.state is State.FAILED
    assert len(trials()) == 2


def test_failed_trial_is_reported_retried_and_repaired_by_the_next_launch(
    sweep, monkeypatch
) -> None:
    initialise, tries = src.training.program.initialise, []

    def break_with_dropout(regressor, model, *rest):
        if model.dropout_rate:
            tries.append(model.dropout_rate)
            raise RuntimeError("a defect")
        return initialise(regressor, model, *rest)

    monkeypatch.setattr("src.training.program.initialise", break_with_dropout)
    grid = ["model.dropout_rate=0.2,0,0.4"]
    status, printed = sweep(*grid)
    assert status == 1
    assert "2 of 3 trials failed: 1, 3" in printed
    assert "a defect" in printed
    assert sorted(tries) == [0.2, 0.2, 0.4, 0.4]
    states = {trial.number: trial.state for trial in trials()}
    assert states == {1: State.FAILED, 2: State.COMPLETE, 3: State.FAILED}
    (failed, _, _) = trials()
    assert "traceback.txt" in artifacts(failed.run_id)
    assert "a defect" in failed.tags["failure"]

    monkeypatch.setattr("src.training.program.initialise", initialise)
    status, printed = sweep(*grid)
    assert status == 0, printed
    assert {trial.state for trial in trials()} == {State.COMPLETE}
    assert trials()[0].run_id == failed.run_id
    assert [step for step, _ in curve(failed.run_id, "mae/val")] == [1, 2, 3]
    assert "failure" not in trials()[0].tags


@pytest.mark.parametrize(
    ("rule", "num_tries"),
    [("hydra.sweeper.on_failure=stop", 1), ("hydra.sweeper.on_failure=continue", 3),
     ("hydra.sweeper.on_failure=retry:2", 9)],
)  # fmt: skip
def test_sweep_ends_early_by_its_rule(sweep, monkeypatch, rule: str, num_tries: int) -> None:
    tries = []

    def broken(*arguments):
        tries.append(1)
        raise RuntimeError("a defect")

    monkeypatch.setattr("src.training.program.initialise", broken)
    status, printed = sweep("model.dropout_rate=0,0.1,0.2,0.3,0.4", rule,
                            "hydra.sweeper.max_batch_size=1")  # fmt: skip
    assert status == 1
    assert "The sweep ended early" in printed
    assert len(tries) == num_tries
    assert parents()[0].info.status == "FAILED"


def test_replicates_differ_in_their_seed_alone(sweep) -> None:
    sweep("model.dropout_rate=0,0.2", "hydra.sweeper.replicates=2")
    found = [(t.params["model.dropout_rate"], t.params["seed"]) for t in trials()]
    assert found == [("0.0", "0"), ("0.2", "0"), ("0.0", "1"), ("0.2", "1")]
    assert len({trial.data_digest for trial in trials()}) == 1


def test_duplicate_suggestion_becomes_a_replicate(sweep) -> None:
    sweep("model.dropout_rate=0,0.2", "hydra.sweeper.oracle=random", "hydra.sweeper.max_trials=4")
    found = trials()
    assert len(found) == 4
    assert len({trial.configuration_hash for trial in found}) == 4
    assert sum(trial.tags["sweep.replicate"] != "0" for trial in found) == 2
    assert {trial.params["seed"] for trial in found} > {"0"}


def test_condition_leaves_a_key_at_its_default(sweep) -> None:
    place = "tag('model.dropout_rate=0.2',choice(before_pooling,after_pooling))"
    sweep("model.dropout_rate=0,0.2", f"model.dropout_position={place}")
    found = [(t.params["model.dropout_rate"], t.params["model.dropout_position"]) for t in trials()]
    assert found == [("0.0", "before_pooling"), ("0.2", "before_pooling"), ("0.2", "after_pooling")]


def test_list_of_configurations_is_run_and_resumed(sweep, epochs_trained) -> None:
    configurations = "[{optimizer.learning_rate:1e-2},{model.dropout_rate:0.2,augmentation:none}"
    listed = ["hydra.sweeper.oracle=list", "fit.epochs=1"]
    status, printed = sweep(*listed, f"hydra.sweeper.configurations={configurations}]")
    assert status == 0, printed
    status, printed = sweep(*listed, f"hydra.sweeper.configurations={configurations},{{seed:5}}]")
    assert status == 0, printed
    assert "3 trials, 2 of them known" in printed
    keys = ("optimizer.learning_rate", "model.dropout_rate", "augmentation.horizontal_flip", "seed")
    assert [tuple(trial.params[key] for key in keys) for trial in trials()] == [
        ("0.01", "0.0", "True", "0"),
        ("0.0001", "0.2", "False", "0"),
        ("0.0001", "0.0", "True", "5"),
    ]  # fmt: skip
    assert len(epochs_trained) == 3


def test_search_minimises_the_objective_of_the_study(sweep) -> None:
    space = ["hydra.sweeper.oracle=bayesian", "hydra.sweeper.num_initial_points=2", LINE,
             "hydra.sweeper.max_trials=2", "fit.epochs=2"]  # fmt: skip
    status, printed = sweep(*space, "study.objective=last/val_mae")
    assert status == 0, printed
    last = min(trial.metrics["last/val_mae"] for trial in trials())
    (parent,) = parents()
    assert parent.data.metrics["study/last_val_mae"] == last
    assert "study/best_val_mae" not in parent.data.metrics
    assert f"last MAE {last:.2f}" in printed


def test_groups_of_the_configuration_can_be_swept(sweep) -> None:
    status, printed = sweep("augmentation=glob(*)", "fit.epochs=1")
    assert status == 0, printed
    assert len(trials()) == 4


def test_trials_of_the_seed_study_keep_their_numbers(sweep) -> None:
    sweep("+trial=3,1", "+scale=small", "data.num_images=60", "data.limit=null", "fit.epochs=1")
    assert {(t.number, t.params["optimizer.learning_rate"]) for t in trials()} == {
        (1, "0.0001"), (3, "0.0003"),
    }  # fmt: skip


def test_hyperband_continues_where_the_promoted_trial_stopped(sweep, epochs_trained) -> None:
    status, printed = sweep("hydra.sweeper.oracle=hyperband",
                            "hydra.sweeper.reduction_factor=3", LINE)  # fmt: skip
    assert status == 0, printed
    found = trials()
    promoted = [trial for trial in found if "sweep.promoted_from" in trial.tags]
    assert promoted
    by_suggestion = {trial.tags["sweep.suggestion"]: trial for trial in found}
    cost = 0
    for trial in found:
        fidelity = int(trial.params["fit.fidelity"])
        assert [step for step, _ in curve(trial.run_id, "mae/val")] == list(range(1, fidelity + 1))
        cost += fidelity
    for trial in promoted:
        past = by_suggestion[trial.tags["sweep.promoted_from"]]
        common = int(past.params["fit.fidelity"])
        assert curve(trial.run_id, "mae/val")[:common] == curve(past.run_id, "mae/val")
        cost -= common
    # A promotion writes its state once more, under its own run, before it trains.
    assert len(epochs_trained) - len(promoted) == cost
    assert not list(Path("mlruns/checkpoints").rglob("*.npy"))


def test_search_that_learns_refuses_another_space_and_takes_more_trials(sweep) -> None:
    bayesian = ["hydra.sweeper.oracle=bayesian", "hydra.sweeper.num_initial_points=2",
                "fit.epochs=1"]  # fmt: skip
    sweep(*bayesian, LINE, "hydra.sweeper.max_trials=3")
    three = [(trial.number, trial.run_id) for trial in trials()]
    assert len(three) == 3
    status, printed = sweep(*bayesian, "optimizer.learning_rate=interval(1e-3,1e-2)",
                            "hydra.sweeper.max_trials=5")  # fmt: skip
    assert status == 1
    assert "Fix: study.name=<a new name>" in printed
    status, printed = sweep(*bayesian, LINE, "hydra.sweeper.max_trials=5")
    assert status == 0, printed
    assert [(trial.number, trial.run_id) for trial in trials()][:3] == three
    assert len(trials()) == 5


def test_search_that_learns_refuses_other_settings_but_not_other_paths(sweep) -> None:
    bayesian = ["hydra.sweeper.oracle=bayesian", "hydra.sweeper.num_initial_points=2", LINE,
                "hydra.sweeper.max_trials=2"]  # fmt: skip
    sweep(*bayesian, "fit.epochs=1")
    for change, key in ((["fit.epochs=2"], "fit.epochs=1"), (["data.num_images=70"], "data="),
                        (["fit.epochs=1", "hydra.sweeper.seed=1"], "hydra.sweeper.seed=0"),
                        (["fit.epochs=1", "hydra.sweeper.max_trials=1"],
                         "hydra.sweeper.max_trials=2")):  # fmt: skip
        status, printed = sweep(*bayesian, *change)
        assert status == 1
        assert f"how it began, with {key}" in printed
        assert "Traceback" not in printed
    status, printed = sweep(*bayesian, "fit.epochs=1", "tracking.keep_model=all",
                            "fit.eval_batch_size=32")  # fmt: skip
    assert status == 0, printed
    assert len(trials()) == 2


def test_grid_in_the_study_of_a_search_that_learns_does_not_disturb_it(sweep) -> None:
    bayesian = ["hydra.sweeper.oracle=bayesian", "hydra.sweeper.num_initial_points=2", LINE,
                "fit.epochs=1"]  # fmt: skip
    sweep(*bayesian, "hydra.sweeper.max_trials=2")
    sweep("optimizer.learning_rate=1e-2,1e-3", "fit.epochs=1")
    status, printed = sweep(*bayesian, "hydra.sweeper.max_trials=3")
    assert status == 0, printed
    assert [trial.number for trial in trials()] == [1, 2, 3, 4, 5]


def test_last_failure_of_a_search_that_learns_is_mended(sweep, monkeypatch) -> None:
    bayesian = ["hydra.sweeper.oracle=bayesian", "hydra.sweeper.num_initial_points=2", LINE,
                "fit.epochs=1", "hydra.sweeper.max_trials=3",
                "hydra.sweeper.on_failure=stop"]  # fmt: skip
    initialise, tries = src.training.program.initialise, []

    def break_the_second(*arguments):
        tries.append(1)
        if len(tries) == 2:
            raise RuntimeError("a defect")
        return initialise(*arguments)

    monkeypatch.setattr("src.training.program.initialise", break_the_second)
    status, _ = sweep(*bayesian)
    assert status == 1
    status, printed = sweep(*bayesian)
    assert status == 0, printed
    assert [(t.number, t.state) for t in trials()] == [(n, State.COMPLETE) for n in (1, 2, 3)]


def test_failure_that_a_search_went_on_from_stays_and_shows_in_the_exit_code(
    sweep, monkeypatch
) -> None:
    bayesian = ["hydra.sweeper.oracle=bayesian", "hydra.sweeper.num_initial_points=2", LINE,
                "fit.epochs=1", "hydra.sweeper.max_trials=3"]  # fmt: skip
    initialise, tries = src.training.program.initialise, []

    def break_the_second_twice(*arguments):
        tries.append(1)
        if len(tries) in (2, 3):
            raise RuntimeError("a defect")
        return initialise(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr("src.training.program.initialise", break_the_second_twice)
        sweep(*bayesian)
    (failed,) = [trial for trial in trials() if trial.state is State.FAILED]
    # Someone runs the same configuration alone, and it works.
    alone = [argument for argument in SMALL if "launcher" not in argument]
    rate = failed.params["optimizer.learning_rate"]
    monkeypatch.setattr(
        sys, "argv", ["train", *alone, "fit.epochs=1", f"optimizer.learning_rate={rate}"]
    )
    main()
    before = {trial.run_id for trial in trials()}
    assert len(before) == 4
    for _ in range(2):
        status, printed = sweep(*bayesian)
        assert status == 1
        assert "1 of 3 trials failed: 2" in printed
        assert "not those whose failure its search knows" in printed
    assert {trial.run_id for trial in trials()} == before


def test_search_that_learns_passes_over_the_ends_of_its_space(sweep) -> None:
    bayesian = ["hydra.sweeper.oracle=bayesian", "hydra.sweeper.max_trials=2", "fit.epochs=1",
                "hydra.sweeper.num_initial_points=2",
                "optimizer.learning_rate=interval(0,1e-2)"]  # fmt: skip
    status, printed = sweep(*bayesian)
    assert status == 0, printed
    assert len(trials()) == 2


def test_small_space_of_hyperband_promotes_the_right_seed(sweep) -> None:
    status, printed = sweep("hydra.sweeper.oracle=hyperband", "optimizer.learning_rate=1e-2,1e-3")
    assert status == 0, printed
    by_suggestion = {trial.tags["sweep.suggestion"]: trial for trial in trials()}
    promoted = [trial for trial in trials() if "sweep.promoted_from" in trial.tags]
    assert promoted
    for trial in promoted:
        past = by_suggestion[trial.tags["sweep.promoted_from"]]
        assert trial.params["seed"] == past.params["seed"]
        assert trial.params["optimizer.learning_rate"] == past.params["optimizer.learning_rate"]


def test_pruned_trials_keep_their_curves_and_count(sweep) -> None:
    status, printed = sweep(
        "optimizer.learning_rate=1e-2,10,5,20", "pruner=asha", "pruner.warmup_epochs=1"
    )
    assert status == 0, printed
    states = [trial.state for trial in trials()]
    assert states.count(State.PRUNED) >= 2
    assert states[0] is State.COMPLETE
    for trial in trials():
        if trial.state is State.PRUNED:
            assert len(curve(trial.run_id, "mae/val")) == 1
    assert "pruned" in printed


def test_mistake_in_a_grid_is_reported_before_anything_runs(sweep) -> None:
    status, printed = sweep("model.dropout_rate=0.2,2")
    assert status == 1
    assert "`model.dropout_rate` must lie in [0, 1). Received: model.dropout_rate=2" in printed
    assert not trials()
    assert not parents()


def test_mistake_in_the_data_leaves_no_parent(sweep, tmp_path) -> None:
    status, printed = sweep("seed=0,1", "data=labels_csv", f"data.root={tmp_path}")
    assert status == 1
    assert "labels.csv" in printed
    assert "Traceback" not in printed
    assert not parents()


def test_replicates_of_a_search_that_learns_are_asked_once(sweep) -> None:
    command = ["hydra.sweeper.oracle=bayesian", "hydra.sweeper.num_initial_points=2",
               "hydra.sweeper.replicates=2", "fit.epochs=1", LINE]  # fmt: skip
    sweep(*command, "hydra.sweeper.max_trials=2")
    status, printed = sweep(*command, "hydra.sweeper.max_trials=3")
    assert status == 0, printed
    assert [trial.number for trial in trials()] == [1, 2, 3, 4, 5, 6]


def test_search_that_stumbles_upon_a_mistake_counts_it_as_infeasible(sweep) -> None:
    random = ["hydra.sweeper.oracle=random", "hydra.sweeper.max_trials=4",
              "model.dropout_rate=interval(0,2)", "fit.epochs=1"]  # fmt: skip
    for _ in range(2):
        status, printed = sweep(*random)
        assert status == 0, printed
        bad = [trial for trial in trials() if "infeasible" in trial.tags]
        assert 0 < len(bad) < 4
        assert len(trials()) == 4
        assert all("must lie in [0, 1)" in trial.tags["infeasible"] for trial in bad)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra.sweeper.oracle=genetic", "seed=0,1"], "must be one of "),
        (["hydra.sweeper.oracle=random", LINE], "`hydra.sweeper.max_trials` must be given"),
        ([LINE], "A grid needs a list of values"),
        (["hydra.sweeper.oracle=random", "hydra.sweeper.max_trials=2"], "There is nothing to"),
        (["hydra.sweeper.on_failure=retry", "seed=0,1"], "continue, stop or retry:<n>"),
        (["hydra.sweeper.replicates=0", "model.dropout_rate=0,0.1"], "must be >= 1"),
        (["hydra.sweeper.replicates=2", "seed=0,1"], "be 1 where seed itself is swept"),
        (["hydra.sweeper.oracle=hyperband", "fit.epochs=3,9"], "Hyperband itself decides"),
        (
            ["hydra.sweeper.oracle=hyperband", "pruner=asha", LINE],
            "Hyperband ends trials early itself",
        ),
        (
            ["hydra.sweeper.oracle=hyperband", "study.objective=val/rmse", LINE],
            "`val/rmse` has no value for an epoch",
        ),
        (["hydra.sweeper.oracle=list"], "Received: an empty list"),
        (
            ["hydra.sweeper.oracle=list", "hydra.sweeper.configurations=[{seed:1}]", "seed=2"],
            "sets a key that is fixed for all. Received: seed=2",
        ),
        (["model.dropout_rate=tag('model.loss=mse',choice(0,0.2))"], "Fix: model.loss=choice"),
        (["model.dropout=0,0.2"], "Fix: model.dropout_rate"),
        (
            ["hydra.sweeper.oracle=random", "hydra.sweeper.max_trials=2", LINE, "data=labels_csv"],
            "`data.root` must be a folder for data=labels_csv",
        ),
        (["augmentation=glob(x*)"], "Nothing is left to choose from"),
        (["hydra.sweeper.mode=plan", "seed=0,1"], "Fix: hydra/launcher=processes"),
    ],
)
def test_what_cannot_be_swept_says_why_and_what_to_type(sweep, arguments, message: str) -> None:
    status, printed = sweep(*arguments)
    assert status == 1
    assert message in printed
    assert "Traceback" not in printed
