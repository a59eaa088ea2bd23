"""Several trials by one command, as `make sweep` starts them."""

import pytest
from mlflow.tracking import MlflowClient

from tests.smoke.conftest import SMALL

pytestmark = pytest.mark.slow


def test_trials_of_the_seed_study_are_children_of_one_parent(start, tmp_path) -> None:
    small = [argument for argument in SMALL if "trial" not in argument]
    command = ("-m", "+trial=1,3", *small, "fit.epochs=1", "study=seed", "model.backbone=tiny")
    process = start(*command, "model.dropout_rate=2,0.1")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "error: `model.dropout_rate` must lie in [0, 1). Received" in err
    assert "Traceback" not in err

    process = start(*command, "hydra.launcher.n_jobs=2")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "2 trials: 2 complete. Best: trial" in out
    runs = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_runs(["1"])
    parents = [run for run in runs if run.data.tags.get("kind") == "study"]
    children = [run for run in runs if run not in parents]
    assert [run.info.run_name for run in parents] == ["seed"]
    assert {run.info.run_name for run in children} == {"trial 1", "trial 3"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["study"] for run in runs} == {"seed"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
