from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from src.config import Objective
from src.config.study_schema import Direction
from src.tracking.curves import sibling_curves
from src.tracking.store import best_cost

pytestmark = pytest.mark.slow

STUDY = "a study -- with 1.5 names_"


@pytest.fixture
def experiment(store: Path) -> str:
    return "1"


def add_run(
    experiment: str, values: list[float], study: str = STUDY, digest: str = "d", **tags: str
) -> str:
    client = MlflowClient()
    run = client.create_run(experiment, tags={"study": study, "data_digest": digest, **tags})
    for epoch, value in enumerate(values, start=1):
        client.log_metric(run.info.run_id, "mae/val", value, step=epoch)
    return str(run.info.run_id)


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read, real = [], MlflowClient.get_metric_history

    def counted(self, run_id: str, key: str):
        read.append(run_id)
        return real(self, run_id, key)

    monkeypatch.setattr(MlflowClient, "get_metric_history", counted)
    return read


def test_siblings_are_the_other_trials_of_the_study_on_the_same_data(experiment) -> None:
    own = add_run(experiment, [9])
    add_run(experiment, [8, 7])
    add_run(experiment, [6])
    add_run(experiment, [])  # a study's parent, or a trial in its first epoch
    add_run(experiment, [1], study="another")
    add_run(experiment, [2], digest="other faces")
    MlflowClient().delete_run(add_run(experiment, [3]))
    assert sibling_curves(experiment, STUDY, "d", own, "mae/val") == [(8, 7), (6,)]


def test_all_siblings_are_found_however_many_there_are(experiment, monkeypatch) -> None:
    monkeypatch.setattr("mlflow.tracking.fluent.NUM_RUNS_PER_PAGE_PANDAS", 2)
    for value in range(5):
        add_run(experiment, [value])
    assert sorted(sibling_curves(experiment, STUDY, "d", "", "mae/val")) == [(n,) for n in range(5)]


def test_ended_runs_are_read_once_and_running_ones_each_time(experiment, monkeypatch) -> None:
    ended, running = add_run(experiment, [9]), add_run(experiment, [8])
    client = MlflowClient()
    client.set_terminated(ended)
    read = count_reads(monkeypatch)
    assert sibling_curves(experiment, STUDY, "d", "", "mae/val") == [(9,), (8,)]
    client.log_metric(running, "mae/val", 7, step=2)
    assert sibling_curves(experiment, STUDY, "d", "", "mae/val") == [(9,), (8, 7)]
    assert (read.count(ended), read.count(running)) == (1, 2)


def test_run_that_was_opened_again_is_read_again(experiment) -> None:
    run, client = add_run(experiment, [9]), MlflowClient()
    client.set_terminated(run, "KILLED", end_time=1)
    assert sibling_curves(experiment, STUDY, "d", "", "mae/val") == [(9,)]
    client.update_run(run, "RUNNING")
    client.log_metric(run, "mae/val", 8, step=2)
    assert sibling_curves(experiment, STUDY, "d", "", "mae/val") == [(9, 8)]
    client.set_terminated(run, "FINISHED", end_time=2)
    assert sibling_curves(experiment, STUDY, "d", "", "mae/val") == [(9, 8)]


def test_curve_is_of_the_metric_that_is_asked_for(experiment) -> None:
    run = add_run(experiment, [9])
    MlflowClient().log_metric(run, "loss/val", 81, step=1)
    assert sibling_curves(experiment, STUDY, "d", "", "loss/val") == [(81,)]


def test_only_complete_trials_count_as_the_best(experiment) -> None:
    client = MlflowClient()
    for state, value in (("COMPLETE", 7.0), ("PRUNED", 6.0), ("RUNNING", 5.0), ("COMPLETE", 8.0)):
        run = add_run(experiment, [value], state=state)
        client.log_metric(run, "best/val_mae", value)
        client.set_terminated(run)
    add_run(experiment, [1], state="COMPLETE")  # without the objective
    assert best_cost(experiment, STUDY, "d", Objective()) == 7
    most = Objective("best/val_mae", Direction.maximize)
    assert best_cost(experiment, STUDY, "d", most) == -8
    assert best_cost(experiment, STUDY, "other faces", Objective()) == float("inf")
    assert best_cost(experiment, STUDY, "d", Objective("last/val_mae")) == float("inf")
