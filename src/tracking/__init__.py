"""What MLflow keeps. The one door to it; nothing here knows data or models by their types."""

from src.core.names import State
from src.tracking.curves import sibling_curves
from src.tracking.run import Run
from src.tracking.runs import Runs, Start, trial_run, trial_runs
from src.tracking.store import best_cost

__all__ = ["Run", "Runs", "Start", "State", "best_cost", "sibling_curves", "trial_run",
           "trial_runs"]  # fmt: skip
