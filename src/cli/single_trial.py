"""A single trial on the terminal."""

import sys
from typing import TYPE_CHECKING

from src.config import Config
from src.core.imports import large_imports

if TYPE_CHECKING:
    from src.training import TrialResult

INFEASIBLE = 3  # exit status


def train_and_print(config: Config) -> "TrialResult":
    """Trains one trial and prints its result, which it returns."""
    with large_imports():  # TensorFlow: only once the configuration is checked
        from src.tracking.pages import run_address
        from src.training import run_trial
    try:
        result = run_trial(config)
    except KeyboardInterrupt:
        print("Interrupted. The same command continues after the last finished epoch.")
        sys.exit(130)
    print(f"{result.headline()}\n`mlflow ui` shows it at {run_address(result.run_id)}")
    return result
