"""Write the page of a data set: `python -m src.eda data=labels_csv data.root=…`."""

import sys

from omegaconf import DictConfig

from src.cli.command_line import explained_errors, launch
from src.config import to_config
from src.core.imports import large_imports


def eda(tree: DictConfig) -> None:
    """Writes the page of the data set that Hydra composed, and prints its address."""
    with explained_errors():
        config = to_config(tree)
        with large_imports():
            from src.exploration.publishing import explore
        summary, path, address = explore(config)
    print(f"{summary}\n")
    if path is not None:
        print(f"The page: {path}")
    print(f"`mlflow ui` shows it at {address}")


def main() -> None:
    """Composes the configuration from the command line, and writes the page."""
    if {"-m", "--multirun"} & set(sys.argv[1:]):  # the sweeper would train
        sys.exit(
            "error: One page is about one data set. "
            f"Received: {' '.join(sys.argv[1:])}. Fix: leave out -m"
        )
    launch(eda)


if __name__ == "__main__":
    main()
