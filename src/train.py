"""Train one trial: `python -m src.train +trial=3`."""

import sys

import hydra
from omegaconf import DictConfig

from src.config import ConfigError, quote_trial_numbers, register_schema, to_config


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def train(tree: DictConfig) -> float:
    try:
        config = to_config(tree)
    except ConfigError as error:
        sys.exit(f"{error}")
    print(config)
    return 0.0


def main() -> None:
    sys.argv[1:] = quote_trial_numbers(sys.argv[1:])
    register_schema()
    train()


if __name__ == "__main__":
    main()
