"""Hydra's own suites for sweepers and launchers, run on ours."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.extra.pytest_plugin import hydra_sweep_runner  # noqa: F401
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.version import VersionBase
from packaging.version import Version

# Hydra's applications leave open whether a job changes its directory.
pytestmark = pytest.mark.filterwarnings("ignore:\\s*Future Hydra versions:UserWarning")

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra's suites expect the behaviour of Hydra 1.1, and start applications."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", Version("1.1"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "src/plugins")]))


@pytest.fixture
def hydra_restore_singletons() -> Iterator[None]:
    """Restores Hydra's state except the plugins: its own fixture defines their classes again."""
    plugins, state = Plugins.instance(), Singleton.get_state()
    yield
    Singleton.set_state(state | {"instances": state["instances"] | {Plugins: plugins}})


def test_hydra_finds_the_plugins() -> None:
    plugins = Plugins.instance()
    assert "OracleSweeper" in [found.__name__ for found in plugins.discover(Sweeper)]
    assert "ProcessLauncher" in [found.__name__ for found in plugins.discover(Launcher)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [
        ("basic", ["hydra/sweeper=oracle"]),
        ("basic", ["hydra/sweeper=oracle", "hydra.sweeper.max_batch_size=2"]),
        ("processes", ["hydra/sweeper=basic"]),
        ("processes", ["hydra/sweeper=oracle", "hydra.launcher.n_jobs=2"]),
    ],
)
class TestLauncherSuite(LauncherTestSuite):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [("basic", ["hydra/sweeper=oracle", "hydra.sweeper.max_batch_size=2"])],
)
class TestSweeperInBatches(BatchedSweeperTestSuite):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [
        ({}, ["-m", "hydra/launcher=basic", "hydra/sweeper=oracle"]),
        ({}, ["-m", "hydra/launcher=processes", "hydra/sweeper=basic"]),
    ],
)
class TestIntegrationSuite(IntegrationTestSuite):
    pass
