"""Look at a data set before training on it: `python -m src.eda data=labels_csv data.root=…`."""

import sys

import hydra
from omegaconf import DictConfig

from src.cli.command_line import explained_errors, launch
from src.cli.options import CONF
from src.config import to_config
from src.core.imports import large_imports


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def eda(tree: DictConfig) -> None:
    """Write the page of the data set that Hydra composed, and say where it is."""
    with explained_errors():
        config = to_config(tree)
        with large_imports():
            from src.exploration import explore

        try:
            shown = explore(config)
        except KeyboardInterrupt:
            print("Interrupted. What was measured is kept; the same command goes on.")
            sys.exit(130)
    print(f"{shown.page.summary}\n")
    if shown.path is not None:
        print(f"The page: {shown.path}")
    print(f"`mlflow ui` shows it at {shown.address}")


def main() -> None:
    """Let Hydra compose the configuration from the command line, and look."""
    if {"-m", "--multirun"} & set(sys.argv[1:]):  # the sweeper would train
        sys.exit(
            "error: One page is about one data set. "
            f"Received: {' '.join(sys.argv[1:])}. Fix: leave out -m"
        )
    launch(eda)


if __name__ == "__main__":
    main()
