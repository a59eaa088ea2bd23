"""Options that several commands have in common."""

import argparse
from pathlib import Path

from omegaconf import OmegaConf

CONF = Path(__file__).parents[2] / "conf"  # absolute: Hydra finds it from any directory


def add_experiment_option(parser: argparse.ArgumentParser) -> None:
    """Add `--experiment`, whose default is that of `conf/tracking/mlflow.yaml`."""
    parser.add_argument(
        "--experiment",
        default=OmegaConf.load(CONF / "tracking/mlflow.yaml").experiment,
        metavar="NAME",
        help="MLflow's experiment (default: %(default)s)",
    )


def study_name(typed: str) -> str:
    """Returns the name in `small`, `study=small` or `study.name=small`."""
    return typed.removeprefix("study.name=").removeprefix("study=")
