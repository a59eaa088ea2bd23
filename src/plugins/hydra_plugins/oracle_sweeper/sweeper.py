"""`hydra/sweeper=oracle`: what runs next is what a keras-tuner oracle suggests."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class OracleSweeperConf:
    """What is swept, how, and what happens when a trial fails."""

    _target_: str = "hydra_plugins.oracle_sweeper.sweeper.OracleSweeper"
    oracle: str = "grid"  # grid | random | bayesian | hyperband
    # Overrides by key, such as `optimizer.learning_rate: choice(1e-5, 1e-4)`.
    params: dict[str, Any] = field(default_factory=dict)
    replicates: int = 1  # seeds for each configuration: seed, seed + 1, …
    max_trials: int | None = None  # configurations in all; needed by random and bayesian
    seed: int = 0  # of the search's own draws; the trials' is `seed`
    on_failure: str = "retry:1"  # continue | stop | retry:<n>, then continue
    max_failures_in_a_row: int = 3  # failed trials that end the sweep
    max_batch_size: int | None = None  # jobs at a time for a launcher that takes batches
    mode: str = "run"  # run | plan: say what it would cost, and run nothing
    # bayesian: Gaussian process, upper confidence bound; defaults are keras-tuner's
    num_initial_points: int | None = None  # draws before the first fit; null: 3 a dimension
    noise: float = 1e-4  # variance of the objective, as a share of its variance over trials
    exploration: float = 2.6  # standard deviations below the mean that a point is worth
    # hyperband: brackets of successive halving up to fit.epochs
    reduction_factor: int = 3  # η: a rung keeps 1/η of its trials
    iterations: int = 1  # times through all brackets


ConfigStore.instance().store(
    group="hydra/sweeper", name="oracle", node=OracleSweeperConf, provider="oracle_sweeper"
)


class OracleSweeper(Sweeper):
    """Hands over to `_core`, which is imported when there is something to sweep.

    Attributes:
        settings: The fields of `OracleSweeperConf`.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's hook."""
        from hydra.core.plugins import Plugins

        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the study; see `_core.sweep`."""
        from hydra_plugins.oracle_sweeper import _core

        return _core.sweep(self, arguments)
