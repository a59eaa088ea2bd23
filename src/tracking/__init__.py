"""The only package that uses MLflow. It does not know the types of data and models."""

from src.tracking.curves import sibling_curves
from src.tracking.run import Run
from src.tracking.runs import Start, trial_runs
from src.tracking.store import best_cost

__all__ = ["Run", "Start", "best_cost", "sibling_curves", "trial_runs"]
