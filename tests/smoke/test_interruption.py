"""A real ResNet50 trial that is ended from outside, as by a power cut."""

import signal
import subprocess

import pytest
from mlflow.tracking import MlflowClient

from tests.smoke.conftest import SMALL

pytestmark = pytest.mark.slow


def end_in_epoch(process: subprocess.Popen, number: int, by: signal.Signals) -> None:
    """Send a signal when the epoch before is finished and saved."""
    for line in process.stderr:
        if line.startswith(f"epoch {number - 1}/"):
            process.send_signal(by)
            break
    process.communicate(timeout=120)


def test_trial_killed_twice_comes_to_the_numbers_of_an_undisturbed_one(start, tmp_path) -> None:
    undisturbed = start(*SMALL, folder="undisturbed")
    _, err = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, err

    terminated = start(*SMALL, folder="killed")
    end_in_epoch(terminated, 2, signal.SIGTERM)
    assert terminated.returncode == 130
    client = MlflowClient(f"sqlite:///{tmp_path / 'killed' / 'mlflow.db'}")
    assert [run.info.status for run in client.search_runs(["1"])] == ["KILLED"]

    killed = start(*SMALL, folder="killed")
    end_in_epoch(killed, 3, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert [run.info.status for run in client.search_runs(["1"])] == ["RUNNING"]

    resumed = start(*SMALL, folder="killed")
    _, err = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, err
    assert "Resuming after epoch 2 of 4." in err

    other = MlflowClient(f"sqlite:///{tmp_path / 'undisturbed' / 'mlflow.db'}")
    (one,), (two,) = (store.search_runs(["1"]) for store in (client, other))
    assert one.info.status == two.info.status == "FINISHED"
    assert numbers(one) == numbers(two)
    for key in ("mae/train", "mae/val", "loss/running"):
        assert curve(client, one, key) == curve(other, two, key), key


def numbers(run) -> dict[str, float]:
    measured = ("system/", "time/", "memory/")
    return {key: x for key, x in run.data.metrics.items() if not key.startswith(measured)}


def curve(client: MlflowClient, run, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, key)]
