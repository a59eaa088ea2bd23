"""Train one trial: `python -m src.train +trial=3`."""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from src.config import ConfigError, quote_trial_numbers, register_schema, to_config
from src.console import stderr


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def train(tree: DictConfig) -> float:
    """Run the trial that Hydra composed; its objective is the validation MAE in years."""
    try:
        config = to_config(tree)
        from src.training import run_trial  # TensorFlow: only once the configuration is sound

        result = run_trial(config)
    except (ConfigError, ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    return result.val_mae


def main() -> None:
    """Read the command line and let Hydra compose the configuration."""
    sys.argv[1:] = quote_trial_numbers(sys.argv[1:])
    register_schema()
    train()


if __name__ == "__main__":
    main()
