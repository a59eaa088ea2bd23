"""Training and measurement of one trial, from its configuration to its result."""

from src.training.result import TrialResult
from src.training.trial import run_trial

__all__ = ["TrialResult", "run_trial"]
