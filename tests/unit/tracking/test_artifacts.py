"""Files of a run, on this machine and elsewhere."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from src.tracking.artifacts import local_folder, put


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


def test_file_is_the_same_whoever_writes_it(store: Path) -> None:
    client = MlflowClient()
    ours, theirs = (client.create_run("1").info for _ in range(2))
    for content in (b"first", b"second"):
        put(ours.run_id, local_folder(ours.artifact_uri), "figures/a.png", content)
        put(theirs.run_id, None, "figures/a.png", content)
    for info in (ours, theirs):
        (listed,) = client.list_artifacts(info.run_id, "figures")
        assert (listed.path, listed.file_size) == ("figures/a.png", 6)
        assert Path(client.download_artifacts(info.run_id, listed.path)).read_bytes() == b"second"
