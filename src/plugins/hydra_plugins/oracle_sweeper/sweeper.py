"""`hydra/sweeper=oracle`: a sweep runs the configurations that a search suggests."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from src.config.schema import mergeable
from src.search.settings import SweepSettings


@dataclass(frozen=True)
class OracleSweeperConf(SweepSettings):
    """`hydra.sweeper.*`: the settings, and the class that Hydra creates with them."""

    _target_: str = "hydra_plugins.oracle_sweeper.sweeper.OracleSweeper"


ConfigStore.instance().store(
    "oracle", mergeable(OracleSweeperConf), group="hydra/sweeper", provider="oracle_sweeper"
)


class OracleSweeper(Sweeper):
    """Imports `_sweep` when there is something to sweep.

    Args:
        settings: The fields of `SweepSettings`.
    """

    config: DictConfig
    launcher: Launcher
    hydra_context: HydraContext

    def __init__(self, **settings: Any) -> None:
        plain: Any = OmegaConf.to_object(OmegaConf.create(settings))
        self.settings = SweepSettings(**plain)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps what Hydra passes, and creates the launcher."""
        from hydra.core.plugins import Plugins

        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the study; see `_sweep.sweep`."""
        from hydra_plugins.oracle_sweeper import _sweep

        return _sweep.sweep(self, arguments)
