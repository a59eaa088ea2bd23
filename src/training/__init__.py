"""One trial, from configuration to result. Knows nothing of Hydra, sweeps or other trials."""

from src.training.result import TrialResult
from src.training.trial import run_trial

__all__ = ["TrialResult", "run_trial"]
