import pytest
from mlflow.tracking import MlflowClient

from src.core.errors import UsageError
from src.tracking.study import StudyStore
from src.tracking.test_access import (
    Evaluation,
    evaluations,
    num_evaluations_elsewhere,
    record_evaluation,
    refuse_another_evaluation,
)

FIRST = Evaluation("2026-11-02 12:00:03", "trial 5", "r5")


@pytest.fixture
def store(in_new_store) -> StudyStore:
    in_new_store("store")
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


def test_second_evaluation_needs_explicit_permission() -> None:
    refuse_another_evaluation("mine", [], again=False)
    refuse_another_evaluation("mine", [FIRST], again=True)
    with pytest.raises(UsageError) as refused:
        refuse_another_evaluation("mine", [FIRST, FIRST], again=False)
    message = str(refused.value)
    assert message.startswith(
        'Study "mine" was evaluated on its test part already: trial 5 at 2026-11-02 12:00:03 UTC, '
        "trial 5 at 2026-11-02 12:00:03 UTC. Received: STUDY=mine. Fix: "
    )
    assert (
        '`make champion STUDY="mine" AGAIN=1`, which is recorded as test-set evaluation 3'
        in message
    )


def test_evaluations_of_trials_and_sweeps_are_counted_together(store) -> None:
    first, second = add_trial(store, 1, None), add_trial(store, 2, None)
    assert evaluations(store.experiment_id, "mine") == []
    taken = [record_evaluation(store.experiment_id, "mine", first)]  # of the trial, without a sweep
    assert "test.taken.1" in store.trial(first).tags
    store.open_parent({})
    taken += [record_evaluation(store.experiment_id, "mine", run) for run in (first, second)]
    assert {"test.taken.2", "test.taken.3"} <= set(store.parent_tags())
    assert evaluations(store.experiment_id, "mine") == taken
    assert [each.trial for each in taken] == ["trial 1", "trial 1", "trial 2"]
    assert evaluations(store.experiment_id, "another") == []


def test_test_error_of_a_recorded_evaluation_is_not_counted_twice(store) -> None:
    run_id = add_trial(store, 1, None, fit__evaluate_test="False")
    record_evaluation(store.experiment_id, "mine", run_id)
    MlflowClient().log_metric(run_id, "test/mae", 7.0)
    assert len(evaluations(store.experiment_id, "mine")) == 1


def test_trial_that_evaluated_itself_did_so_when_it_ended(store) -> None:
    run_id = add_trial(store, 3, 7.0, fit__evaluate_test="True")
    assert evaluations(store.experiment_id, "mine") == [
        Evaluation("1970-01-01 00:00:03", "trial 3", run_id)
    ]
    record_evaluation(store.experiment_id, "mine", run_id)
    assert len(evaluations(store.experiment_id, "mine")) == 2


def test_only_other_studies_on_the_same_faces_count_as_elsewhere(store) -> None:
    add_trial(store, 1, 7.0)
    other = StudyStore("faces", "other")
    add_trial(other, 1, 7.0)
    add_trial(other, 2, None)
    assert num_evaluations_elsewhere(store.experiment_id, "mine", "d") == 1
    assert num_evaluations_elsewhere(store.experiment_id, "mine", "e") == 0
