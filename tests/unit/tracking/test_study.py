"""A study's runs in the store."""

import socket
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.tracking import MlflowClient

from src.core.names import State
from src.tracking import database, entries
from src.tracking.runs import trial_run
from src.tracking.store import process_tags
from src.tracking.study import StudyStore


@pytest.fixture
def store(in_tmp_path: Path) -> StudyStore:
    return StudyStore("face-age", "s")


@pytest.mark.parametrize("is_at_once", [True, False])
def test_busy_store_makes_one_run_of_a_trial(
    store: StudyStore, one_by_one, monkeypatch, is_at_once: bool
) -> None:
    place = database if is_at_once else MlflowClient
    name = "run_all" if is_at_once else "update_run"
    real, calls = getattr(place, name), []

    def busy_at_first(*arguments, **keywords):
        calls.append(1)
        if len(calls) == 1:
            raise MlflowException("locked", TEMPORARILY_UNAVAILABLE)
        return real(*arguments, **keywords)

    if not is_at_once:
        one_by_one()
    monkeypatch.setattr(place, name, busy_at_first)
    monkeypatch.setattr(entries, "run_all", busy_at_first if is_at_once else entries.run_all)
    run_id = store.create_trial("trial 1", {"trial": "1"})
    assert len(calls) > 1
    assert [trial.run_id for trial in store.trials()] == [run_id]


def test_trials_made_together_are_those_made_one_after_another(store: StudyStore) -> None:
    store.open_parent({})
    asked = [(f"trial {number}", {"trial": str(number), "state": "WAITING"}) for number in (1, 2)]
    together = store.create_trials(asked)
    alone = [store.create_trial(name, tags) for name, tags in asked]
    client = MlflowClient()
    for run_ids in (together, alone):
        runs = [client.get_run(run_id) for run_id in run_ids]
        assert [run.info.run_name for run in runs] == ["trial 1", "trial 2"]
        assert {run.info.status for run in runs} == {"SCHEDULED"}
        for run, (name, tags) in zip(runs, asked, strict=True):
            assert run.data.tags == {
                "study": "s", "mlflow.parentRunId": store.parent_id, "mlflow.runName": name, **tags
            }  # fmt: skip
    assert store.create_trials([]) == []


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
