"""Empty stores."""

import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from src.tracking.store import open_store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one experiment, which takes seconds to create."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        open_store("faces")
    return folder / "mlflow.db"


@pytest.fixture
def in_new_store(
    in_tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """Change to a folder of this name that has a store of its own."""

    def enter(name: str) -> Path:
        folder = in_tmp_path / name
        folder.mkdir()
        shutil.copy(empty_database, folder / "mlflow.db")
        monkeypatch.chdir(folder)
        mlflow.set_tracking_uri(None)
        return folder

    return enter


@pytest.fixture
def store(in_new_store: Callable[[str], Path]) -> Path:
    """The folder of a store with one experiment, its id 1; it is the working directory."""
    return in_new_store("store")
