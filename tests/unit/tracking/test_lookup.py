import math

import pytest
from mlflow.tracking import MlflowClient

from src.core.errors import MissingFileError, UsageError
from src.core.names import State
from src.tracking.lookup import (
    StudySummary,
    announce_new_study,
    find_experiment,
    find_study,
    recorded_config,
    run_of_this_process,
    studies,
)
from src.tracking.store import process_tags
from src.tracking.study import StudyStore

pytestmark = pytest.mark.slow


@pytest.fixture
def store(in_tmp_path) -> StudyStore:
    return StudyStore("faces", "mine")


def test_study_is_summed_up_from_its_sweep_and_its_trials(store, monkeypatch) -> None:
    monkeypatch.setattr("src.tracking.store._PAGE", 2)
    store.open_parent({})
    for error, state in ((7.0, "COMPLETE"), (6.5, "COMPLETE"), (5.0, "PRUNED")):
        run_id = store.create_trial("a trial", {"state": state})
        MlflowClient().log_metric(run_id, "best/val_mae", error)
    store.close_parent("KILLED", State.WAITING)
    MlflowClient().create_run(store.experiment_id)  # of no study
    assert studies("faces") == [StudySummary("mine", 3, 6.5, State.WAITING)]


def test_study_without_a_sweep_stands_where_its_trials_do(store) -> None:
    for state, whole in (("FAILED", "COMPLETE"), ("WAITING", "WAITING"), ("RUNNING", "RUNNING")):
        store.create_trial("a trial", {"state": state})
        (found,) = studies("faces")
        assert (found.state, found.best_val_mae) == (whole, math.inf)


def test_only_what_exists_is_found(store) -> None:
    store.create_trial("a trial", {"trial": "4"})
    assert [trial.number for trial in find_study("faces", "mine").trials()] == [4]
    with pytest.raises(UsageError, match=r"STUDY=mime. Fix: mine"):
        find_study("faces", "mime")
    with pytest.raises(UsageError, match=r"--experiment face. Fix: faces"):
        find_study("face", "mine")


def test_missing_store_is_not_created(in_tmp_path) -> None:
    with pytest.raises(MissingFileError, match=r"Received: mlflow\.db in "):
        find_experiment("faces")
    assert not list(in_tmp_path.iterdir())


def test_configuration_comes_back_as_it_was_recorded(store) -> None:
    config = {"optimizer.epsilon": 1e-07, "data.limit": None, "model.hidden_units": [48]}
    begun, waiting = (store.create_trial("a trial", {}) for _ in range(2))
    MlflowClient().log_dict(begun, config, "config.json")
    assert recorded_config(begun) == config
    assert recorded_config(waiting) is None


def test_run_of_this_process_is_the_last_one_that_it_ended(store) -> None:
    assert run_of_this_process("faces") is None
    ended = []
    mine = process_tags()
    for others in ({}, {}, {"process.host": "another"}, {"kind": "study"}):
        ended.append(store.create_trial("a trial", {**mine, **others}))
        MlflowClient().set_terminated(ended[-1], end_time=1000 * len(ended))
    assert run_of_this_process("faces") == ended[1]


def test_new_study_is_announced_with_a_similar_name(store, capsys) -> None:
    announce_new_study("elsewhere", "mine")
    assert capsys.readouterr().err == ""
    store.open_parent({})
    StudyStore("faces", "by hand").create_trial("a trial", {})
    for name, line in (
        ("mine", ""),
        ("mime", 'New study "mime"; similar: "mine".\n'),
        ("by hands", 'New study "by hands"; similar: "by hand".\n'),
        ("quite another", 'New study "quite another".\n'),
    ):
        announce_new_study("faces", name)
        assert capsys.readouterr().err == line


def test_where_there_is_no_store_no_study_is_announced(in_tmp_path, capsys) -> None:
    announce_new_study("faces", "mine")
    assert capsys.readouterr().err == ""
    assert not list(in_tmp_path.iterdir())
