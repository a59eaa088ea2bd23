"""What MLflow keeps. The one door to it; nothing here knows data or models by their types."""

from src.tracking.curves import sibling_curves
from src.tracking.run import Run, trial_run
from src.tracking.state import State
from src.tracking.store import best_val_mae

__all__ = ["Run", "State", "best_val_mae", "sibling_curves", "trial_run"]
