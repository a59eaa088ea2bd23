"""Several trials by one command, as `make sweep` starts them."""

import pytest
from mlflow.tracking import MlflowClient

from tests.smoke.conftest import SMALL

pytestmark = pytest.mark.slow


def test_trials_run_one_after_another_and_a_mistake_in_one_spares_the_others(
    start, tmp_path
) -> None:
    small = [argument for argument in SMALL if "trial" not in argument]
    process = start("-m", "+trial=1,3", *small, "fit.epochs=1", "model.dropout_rate=2,0.1",
                    "study=seed")  # fmt: skip
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "error: `model.dropout_rate` must lie in [0, 1). Received" in err
    assert "Traceback" not in err
    assert out.count("Validation MAE") == 2
    runs = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_runs(["1"])
    assert {run.info.run_name for run in runs} == {"trial 1", "trial 3"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["study"] for run in runs} == {"seed"}
