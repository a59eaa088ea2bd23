"""A study's runs in the store."""

import socket
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.tracking import MlflowClient

from src.tracking.run import trial_run
from src.tracking.state import State
from src.tracking.store import process_tags
from src.tracking.study import StudyStore


@pytest.fixture
def store(in_tmp_path: Path) -> StudyStore:
    return StudyStore("face-age", "s")


def test_busy_store_makes_one_run_of_a_trial(store: StudyStore, monkeypatch) -> None:
    update, calls = store._client.update_run, []

    def busy_at_first(*arguments, **keywords):
        calls.append(1)
        if len(calls) == 1:
            raise MlflowException("locked", TEMPORARILY_UNAVAILABLE)
        return update(*arguments, **keywords)

    monkeypatch.setattr(store._client, "update_run", busy_at_first)
    run_id = store.create_trial("trial 1", {"trial": "1"})
    assert len(calls) == 2
    assert [trial.run_id for trial in store.trials()] == [run_id]


@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
def test_running_trial_belongs_to_its_host(store: StudyStore, host: str) -> None:
    tags = {**process_tags(), "process.host": host, "state": State.RUNNING}
    run_id = store.create_trial("trial 1", tags)
    MlflowClient().update_run(run_id, status="RUNNING")
    (trial,) = store.trials()
    assert trial.runs_on_another_host is (host == "elsewhere")
    assert (trial.process is None) is (host == "elsewhere")


def test_trial_does_not_go_on_in_the_run_of_another_experiment(store: StudyStore) -> None:
    run_id = store.create_trial("trial 1", {"configuration_hash": "h"})
    with trial_run(
        "another", "trial 1", {"configuration_hash": "h"}, resume_id=run_id, system_metrics=False
    ) as run:
        assert run.id != run_id
    assert store.trial(run_id).state is State.WAITING
