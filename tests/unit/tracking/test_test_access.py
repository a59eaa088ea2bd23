import pytest
from mlflow.tracking import MlflowClient

from src.core.errors import UsageError
from src.tracking.study import StudyStore
from src.tracking.test_access import (
    Look,
    count_look,
    looks,
    num_looks_elsewhere,
    refuse_another_look,
)

FIRST = Look("2026-11-02 12:00:03", "trial 5", "r5")


@pytest.fixture
def store(in_tmp_path) -> StudyStore:
    return StudyStore("faces", "mine")


def add_trial(store: StudyStore, number: int, test_mae: float | None, **params: str) -> str:
    tags = {"trial": str(number), "data_digest": "d"}
    run_id = store.create_trial(f"trial {number}", tags)
    client = MlflowClient()
    for key, value in params.items():
        client.log_param(run_id, key.replace("__", "."), value)
    if test_mae is not None:
        client.log_metric(run_id, "test/mae", test_mae)
    client.set_terminated(run_id, end_time=1000 * number)
    return run_id


def test_first_look_is_allowed_and_a_further_one_only_if_told_so() -> None:
    refuse_another_look("mine", [], again=False)
    refuse_another_look("mine", [FIRST], again=True)
    with pytest.raises(UsageError) as refused:
        refuse_another_look("mine", [FIRST, FIRST], again=False)
    told = str(refused.value)
    assert told.startswith(
        'The test part of study "mine" was looked at already: trial 5 at 2026-11-02 12:00:03 UTC, '
        "trial 5 at 2026-11-02 12:00:03 UTC. Received: STUDY=mine. Fix: "
    )
    assert '`make champion STUDY="mine" AGAIN=1`, which is counted and told as look 3' in told


def test_looks_of_trials_and_sweeps_are_counted_together(store) -> None:
    first, second = add_trial(store, 1, None), add_trial(store, 2, None)
    assert looks(store.experiment_id, "mine") == []
    taken = [count_look(store.experiment_id, "mine", first)]  # no sweep yet: kept by the trial
    assert "test.taken.1" in store.trial(first).tags
    store.open_parent({})
    taken += [count_look(store.experiment_id, "mine", run) for run in (first, second)]
    assert {"test.taken.2", "test.taken.3"} <= set(store.parent_tags())
    assert looks(store.experiment_id, "mine") == taken
    assert [look.trial for look in taken] == ["trial 1", "trial 1", "trial 2"]
    assert looks(store.experiment_id, "another") == []


def test_test_error_of_a_counted_look_is_no_look_of_its_own(store) -> None:
    run_id = add_trial(store, 1, None, fit__evaluate_test="False")
    count_look(store.experiment_id, "mine", run_id)
    MlflowClient().log_metric(run_id, "test/mae", 7.0)
    assert len(looks(store.experiment_id, "mine")) == 1


def test_trial_that_tested_itself_looked_when_it_ended(store) -> None:
    run_id = add_trial(store, 3, 7.0, fit__evaluate_test="True")
    assert looks(store.experiment_id, "mine") == [Look("1970-01-01 00:00:03", "trial 3", run_id)]
    count_look(store.experiment_id, "mine", run_id)
    assert len(looks(store.experiment_id, "mine")) == 2


def test_only_other_studies_on_the_same_faces_count_as_elsewhere(store) -> None:
    add_trial(store, 1, 7.0)
    other = StudyStore("faces", "other")
    add_trial(other, 1, 7.0)
    add_trial(other, 2, None)
    assert num_looks_elsewhere(store.experiment_id, "mine", "d") == 1
    assert num_looks_elsewhere(store.experiment_id, "mine", "e") == 0
