import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from src.tracking.store import local_folder, mend_stale_runs, open_store, process_tags

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def test_processes_that_start_at_once_share_one_store(in_tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from src.tracking.store import open_store\n"
        "print(open_store('faces'))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ids = {process.communicate(timeout=120)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert ids == {"1"}


def test_database_whose_creation_was_killed_is_created_again(in_tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import src.tracking.store as store\n"
        "print('now', flush=True); store.open_store('faces')\n"
    )
    for seconds in (0.3, 0.9, 1.5, 2.1):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        process.communicate()
    assert open_store("faces") == "1"
    assert not Path("mlflow.db.unfinished").exists()


def test_artifact_location_is_relative(in_tmp_path: Path) -> None:
    created = open_store("faces")
    with sqlite3.connect("mlflow.db") as connection:
        query = "SELECT artifact_location FROM experiments WHERE experiment_id = ?"
        assert connection.execute(query, (created,)).fetchone() == ("mlruns/artifacts",)
    connection.close()


def test_deleted_experiment_comes_back(in_tmp_path: Path) -> None:
    created = open_store("faces")
    MlflowClient().delete_experiment(created)
    assert open_store("faces") == created
    assert MlflowClient().get_experiment(created).lifecycle_stage == "active"


def test_another_store_keeps_its_own_artifact_location(in_tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{in_tmp_path / 'other.db'}")
    mlflow.set_tracking_uri(None)
    created = open_store("faces")
    assert not Path("mlflow.db").exists()
    assert MlflowClient().get_experiment(created).artifact_location != "mlruns/artifacts"


def test_only_runs_of_dead_processes_of_this_host_are_mended(store: Path) -> None:
    client, mine = MlflowClient(), process_tags()
    dead = mine | {"process.id": "999999999"}
    claims = {
        "alive": mine,
        "dead": dead,
        "dead after an epoch": dead,
        "of this number, but started earlier": mine | {"process.started": "1.00"},
        "elsewhere": dead | {"process.host": "elsewhere"},
        "without an owner": {},
        "dead and deleted": dead,
        "dead and ended": dead,
    }
    ids = {
        name: client.create_run("1", run_name=name, tags={**tags, "state": "RUNNING"}).info.run_id
        for name, tags in claims.items()
    }
    now = int(time.time() * 1000)
    client.log_metric(ids["dead after an epoch"], "mae/val", 9.0, timestamp=now + 5000, step=1)
    client.delete_run(ids["dead and deleted"])
    client.set_terminated(ids["dead and ended"])
    mend_stale_runs("1")
    runs = {name: client.get_run(run_id) for name, run_id in ids.items()}
    repaired = [name for name, run in runs.items() if run.info.status == "KILLED"]
    assert repaired == ["dead", "dead after an epoch", "of this number, but started earlier"]
    assert all(
        (run.data.tags["state"] == "WAITING") is (name in repaired) for name, run in runs.items()
    )
    assert runs["dead"].info.end_time == runs["dead"].info.start_time
    assert runs["dead after an epoch"].info.end_time == now + 5000


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("mlruns/artifacts/1/artifacts", Path("mlruns/artifacts/1/artifacts")),
        ("/a place/1", Path("/a place/1")),
        ("file:///a%20place/1", Path("/a place/1")),
        ("mlflow-artifacts:/1/artifacts", None),
        ("s3://bucket/1", None),
        ("", None),
    ],
)
def test_only_folders_of_this_machine_are_local(uri: str, folder: Path | None) -> None:
    assert local_folder(uri) == folder
