"""One trial, from configuration to result. Knows nothing of Hydra, sweeps or other trials."""

from src.training.trial import TrialResult, run_trial

__all__ = ["TrialResult", "run_trial"]
