"""Fixtures that all tests share."""

import functools
import gc
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.plugins import Plugins

from src.cli.command_line import register_schema
from src.config import Config, to_config
from src.config.overrides import adapt_overrides

ROOT = Path(__file__).parent.parent

# Hydra runs the modules of all plugins again when it looks for plugins, which defines their classes
# a second time. Here it does so before any test imports one.
Plugins.instance()


@pytest.fixture(scope="session")
def compose_config() -> Callable[..., Config]:
    """Compose the real configuration with overrides, as the command line does."""
    register_schema()

    def composed(*overrides: str) -> Config:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return to_config(compose("config", overrides=adapt_overrides(overrides)))

    return composed


@pytest.fixture
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory: the store, the caches and the checkpoints land there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables without a row, whose creation takes seconds."""
    from src.tracking import store

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("database"))
        store._create_database()
        return Path("mlflow.db").resolve()


@pytest.fixture
def copied_database(new_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New stores begin with a copy of the tables; `test_store.py` tests their creation."""
    copy = functools.partial(shutil.copy, new_database, "mlflow.db")
    monkeypatch.setattr("src.tracking.store._create_database", copy)


def pytest_collection_finish() -> None:
    """Exempt the imported modules from garbage collection."""
    gc.freeze()
