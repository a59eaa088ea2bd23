"""What MLflow keeps. The one door to it; nothing here knows data or models by their types."""

from src.tracking.run import Run, trial_run
from src.tracking.store import best_val_mae, open_store

__all__ = ["Run", "best_val_mae", "open_store", "trial_run"]
