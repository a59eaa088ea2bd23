import math

import pytest
from mlflow.tracking import MlflowClient

from src.config import flatten, objective_of
from src.core.errors import MissingFileError, UsageError
from src.core.names import State
from src.records.terms import Terms
from src.tracking.lookup import (
    StudySummary,
    config_of,
    find_experiment,
    find_study,
    recorded_values,
    studies,
)
from src.tracking.study import StudyStore, terms_tags

pytestmark = pytest.mark.slow


@pytest.fixture
def store(in_new_store) -> StudyStore:
    in_new_store("store")
    return StudyStore("faces", "mine")


def test_study_is_summarised_from_its_sweep_and_its_trials(store) -> None:
    store.open_parent({})
    for error, state in ((7.0, "COMPLETE"), (6.5, "COMPLETE"), (5.0, "PRUNED")):
        run_id = store.create_trial("a trial", {"state": state})
        MlflowClient().log_metric(run_id, "best/val_mae", error)
    store.close_parent("KILLED", State.WAITING)
    MlflowClient().create_run(store.experiment_id)  # of no study
    assert studies("faces") == [StudySummary("mine", "faces", 3, 6.5, Terms(), State.WAITING)]


def test_best_value_is_the_one_of_the_studys_objective(store, compose_config) -> None:
    config = compose_config(
        "data=sample", "study.objective=last/val_mae", "study.direction=maximize"
    )
    store.open_parent(terms_tags(Terms(config.target, objective_of(config.study))))
    for best, last in ((1.0, 7.0), (3.0, 8.0), (2.0, None)):
        run_id = store.create_trial("a trial", {"state": "COMPLETE"})
        MlflowClient().log_metric(run_id, "best/val_mae", best)
        if last is not None:
            MlflowClient().log_metric(run_id, "last/val_mae", last)
    (found,) = studies("faces")
    assert (found.best, found.terms.objective.metric) == (8, "last/val_mae")


def test_state_of_a_study_without_a_sweep_follows_from_its_trials(store) -> None:
    for state, whole in (("FAILED", "COMPLETE"), ("WAITING", "WAITING"), ("RUNNING", "RUNNING")):
        store.create_trial("a trial", {"state": state})
        (found,) = studies("faces")
        assert (found.state, found.best) == (whole, math.inf)


def test_only_what_exists_is_found(store) -> None:
    store.create_trial("a trial", {"trial": "4"})
    assert [trial.number for trial in find_study("faces", "mine").trials()] == [4]
    with pytest.raises(UsageError, match=r"STUDY=mime. Fix: mine"):
        find_study("faces", "mime")
    with pytest.raises(UsageError, match=r"--experiment face. Fix: faces"):
        find_study("face", "mine")


def test_study_is_found_in_the_only_experiment_that_has_it(store) -> None:
    store.create_trial("a trial", {"trial": "4"})
    other = StudyStore("other faces", "theirs")
    other.create_trial("a trial", {"trial": "5"})
    assert find_study(None, "mine").experiment_id == store.experiment_id
    assert find_study(None, "theirs").experiment_id == other.experiment_id
    assert [(found.name, found.experiment) for found in studies(None)] == [
        ("mine", "faces"), ("theirs", "other faces")
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"tracking store has no study .* Fix: theirs"):
        find_study(None, "theyrs")


def test_study_in_several_experiments_needs_one_to_be_named(store) -> None:
    store.create_trial("a trial", {})
    StudyStore("other faces", "mine").create_trial("a trial", {})
    with pytest.raises(UsageError) as refused:
        find_study(None, "mine")
    assert str(refused.value) == (
        'Several experiments have a study "mine". Received: no --experiment, where there are '
        "other faces, faces. Fix: --experiment other faces"
    )
    assert find_study("other faces", "mine").experiment_id != store.experiment_id


def test_only_experiment_with_runs_is_found_without_its_name(store) -> None:
    assert find_experiment(None) == store.experiment_id
    store.create_trial("a trial", {})
    other = StudyStore("other faces", "mine")
    assert find_experiment(None) == store.experiment_id == find_experiment("faces")
    other.create_trial("a trial", {})
    with pytest.raises(UsageError, match=r"Several experiments have runs.*other faces, faces\."):
        find_experiment(None)


def test_missing_store_is_not_created(in_tmp_path) -> None:
    with pytest.raises(MissingFileError, match=r"Received: mlflow\.db in "):
        find_experiment("faces")
    assert not list(in_tmp_path.iterdir())


def test_recorded_configuration_is_read_with_neutral_values(store, compose_config) -> None:
    config = compose_config("data=sample")
    old = {key: value for key, value in flatten(config).items() if not key.startswith("target.")}
    started, waiting = (store.create_trial("a trial", {}) for _ in range(2))
    MlflowClient().log_dict(started, old, "config.json")
    values = recorded_values(started)
    assert values is not None
    assert values.items() >= {**old, "target.name": "age"}.items()
    assert config_of(store.trial(started), "mine") == config
    assert recorded_values(waiting) is None
    with pytest.raises(UsageError, match="has no recorded configuration"):
        config_of(store.trial(waiting), "mine")
