"""Train one trial: `python -m src.train +trial=3`."""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from src.cli.command_line import explained_errors, launch
from src.cli.options import CONF
from src.config import to_config
from src.core.errors import UsageError
from src.core.imports import large_imports


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def train(tree: DictConfig) -> float:
    """Runs the trial that Hydra composed, and returns its objective."""
    with explained_errors():
        _refuse_lonely_sweep()
        config = to_config(tree)
        with large_imports():  # TensorFlow: only once the configuration is sound
            from src.training import run_trial
        try:
            result = run_trial(config)
        except KeyboardInterrupt:
            print("Interrupted. The same command goes on after the last finished epoch.")
            sys.exit(130)
    print(f"{result.headline()}\n`mlflow ui` shows it at {result.page()}")
    if result.infeasible and HydraConfig.get().mode is RunMode.RUN:
        sys.exit(3)
    return result.value


def _refuse_lonely_sweep() -> None:
    """`+sweep=…` without `-m` would be one trial with a study's name."""
    hydra_config = HydraConfig.get()
    sweep = hydra_config.runtime.choices.get("sweep")
    if sweep is not None and hydra_config.mode is RunMode.RUN:
        raise UsageError(
            f"A sweep is many trials, which need -m. Received: +sweep={sweep}. "
            f"Fix: python -m src.train -m +sweep={sweep}"
        )


def main() -> None:
    """Let Hydra compose the configuration from the command line, and train."""
    launch(train)


if __name__ == "__main__":
    main()
