"""A study's runs in the store."""

import socket

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.tracking import MlflowClient

from src.config import Config, Objective, flatten, objective_of
from src.config.study_schema import Direction
from src.core.errors import UsageError
from src.core.names import State
from src.records.terms import Terms
from src.tracking import Run
from src.tracking.runs import Start, trial_runs
from src.tracking.store import process_tags
from src.tracking.study import StudyStore, terms_tags

SIZE = ("target.name=size", "target.unit=mm", "study.objective=last/val_mae",
        "study.direction=maximize")  # fmt: skip


@pytest.fixture
def store(in_new_store) -> StudyStore:
    in_new_store("store")
    return StudyStore("faces", "s")


def test_busy_store_makes_one_run_of_a_trial(store: StudyStore, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    for name in ("create_run", "update_run"):
        monkeypatch.setattr(store._client, name, busy_at_first(getattr(store._client, name)))
    run_id = store.create_trial("trial 1", {"trial": "1"})
    assert [trial.run_id for trial in store.trials()] == [run_id]
    assert MlflowClient().get_run(run_id).info.status == "SCHEDULED"


def busy_at_first(real):
    calls = []

    def call(*arguments, **keywords):
        calls.append(1)
        if len(calls) == 1:
            raise MlflowException("locked", TEMPORARILY_UNAVAILABLE)
        return real(*arguments, **keywords)

    return call


def test_trials_are_created_as_scheduled_children_of_the_parent(store: StudyStore) -> None:
    store.open_parent({})
    asked = [(f"trial {number}", {"trial": str(number), "state": "WAITING"}) for number in (1, 2)]
    client = MlflowClient()
    runs = [client.get_run(run_id) for run_id in [store.create_trial(*each) for each in asked]]
    assert [run.info.run_name for run in runs] == ["trial 1", "trial 2"]
    assert {run.info.status for run in runs} == {"SCHEDULED"}
    for run, (name, tags) in zip(runs, asked, strict=True):
        assert run.data.tags == {
            "study": "s", "mlflow.parentRunId": store.parent_id, "mlflow.runName": name, **tags
        }  # fmt: skip


@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
def test_running_trial_belongs_to_its_host(store: StudyStore, host: str) -> None:
    tags = {**process_tags(), "process.host": host, "state": State.RUNNING}
    run_id = store.create_trial("trial 1", tags)
    MlflowClient().update_run(run_id, status="RUNNING")
    (trial,) = store.trials()
    assert trial.runs_on_another_host is (host == "elsewhere")
    assert (trial.process is None) is (host == "elsewhere")


def test_trial_does_not_resume_a_run_of_another_experiment(store: StudyStore) -> None:
    run_id = store.create_trial("trial 1", {"configuration_hash": "h"})
    start = Start("trial 1", {"configuration_hash": "h"}, resume_id=run_id)
    with trial_runs("another", [start], system_metrics=False) as (run,):
        assert run.id != run_id
    assert store.trial(run_id).state is State.WAITING


def start_trial(store: StudyStore, params: dict[str, object]) -> str:
    run_id = store.create_trial("trial 1", {"trial": "1"})
    Run(run_id, store.experiment_id, is_new=True).log_params(params)
    return run_id


def test_key_that_a_trial_lacks_has_its_neutral_value(store: StudyStore) -> None:
    run_id = start_trial(store, {"optimizer.name": "Adam", "seed": 3})
    waiting = store.create_trial("trial 2", {"trial": "2"})
    params = store.trial(run_id).params
    assert (params["seed"], params["model.backbone"]) == ("3", "resnet50")
    assert params["target.range"] == "[0.0, 120.0]"
    assert params["study.direction"] == "minimize"
    assert not store.trial(waiting).params


def test_trial_of_a_removed_optimizer_is_still_listed(store: StudyStore) -> None:
    run_id = start_trial(store, {"optimizer.name": "Removed", "optimizer.rho": 0.9})
    params = store.trial(run_id).params
    assert (params["optimizer.rho"], params["model.backbone"]) == ("0.9", "resnet50")


def test_terms_are_neutral_without_a_record(store: StudyStore) -> None:
    assert store.terms() == Terms()
    store.open_parent({})
    start_trial(store, {"optimizer.name": "Adam"})
    assert store.terms() == Terms()


def test_terms_of_trials_without_a_sweep_are_those_of_the_first(
    store: StudyStore, compose_config
) -> None:
    config = compose_config("data=sample", *SIZE)
    start_trial(store, flatten(config))
    assert store.terms() == Terms(config.target, Objective("last/val_mae", Direction.maximize))


def terms_of(config: Config) -> Terms:
    return Terms(config.target, objective_of(config.study))


def test_terms_of_a_sweep_are_tags_of_its_parent(store: StudyStore, compose_config) -> None:
    config = compose_config("data=sample", *SIZE)
    store.open_parent(terms_tags(terms_of(config)))
    assert store.terms() == Terms(config.target, Objective("last/val_mae", Direction.maximize))


def test_objective_and_target_are_fixed_once_there_are_trials(
    store: StudyStore, compose_config
) -> None:
    usual, other = compose_config("data=sample"), compose_config("data=sample", *SIZE)
    store.open_parent(terms_tags(terms_of(other)))
    store.refuse_other_terms(terms_of(usual))  # no trial yet
    start_trial(store, flatten(usual))
    store.refuse_other_terms(terms_of(other))
    with pytest.raises(UsageError) as refused:
        store.refuse_other_terms(terms_of(usual))
    assert str(refused.value) == (
        'Study "s" has study.objective=last/val_mae, which is fixed at its first launch. '
        "Received: study.objective=best/val_mae. Fix: study.name=<a new name>"
    )
    for change in (*SIZE[:2], "study.direction=maximize"):
        store.open_parent(terms_tags(terms_of(usual)))
        with pytest.raises(UsageError, match=change.partition("=")[0]):
            store.refuse_other_terms(terms_of(compose_config("data=sample", change)))
    bands = compose_config("data=sample", "target.bands=[[0, 120]]")
    store.refuse_other_terms(terms_of(bands))  # shown differently, compared alike
