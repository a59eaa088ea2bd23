"""Train one trial: `python -m src.train +trial=3`."""

import sys

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.cli.command_line import explained_errors, is_multirun, launch
from src.cli.single_trial import INFEASIBLE, train_and_print
from src.config import to_config
from src.core.errors import UsageError
from src.core.imports import large_imports


def train(tree: DictConfig) -> float:
    """Runs the trial that Hydra composed and returns its objective."""
    with explained_errors():
        sweep = HydraConfig.get().runtime.choices.get("sweep")
        if sweep is not None and not is_multirun():  # it would be one trial with a study's name
            raise UsageError(
                f"A sweep is many trials, which need -m. Received: +sweep={sweep}. "
                f"Fix: python -m src.train -m +sweep={sweep}"
            )
        config = to_config(tree)
        if config.study.run_id is None:  # else the sweep has announced it
            with large_imports():
                from src.tracking.lookup import announce_new_study
            announce_new_study(config.tracking.experiment, config.study.name)
        result = train_and_print(config)
    if result.infeasible and not is_multirun():
        sys.exit(INFEASIBLE)
    return result.value


def main() -> None:
    """Composes the configuration from the command line, and trains."""
    launch(train)


if __name__ == "__main__":
    main()
