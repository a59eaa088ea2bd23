"""Local folders of runs' artifacts."""

from pathlib import Path

import pytest

from src.tracking.artifacts import local_folder


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
