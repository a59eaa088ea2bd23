"""Confidence intervals and tests. Needs only NumPy and SciPy."""

from src.statistics.comparison import Contenders, holm
from src.statistics.crossed import CrossedFit, Estimate, Faces, Outcome, interaction_p_value
from src.statistics.intervals import difference_interval, mean_interval

__all__ = [
    "Contenders",
    "CrossedFit",
    "Estimate",
    "Faces",
    "Outcome",
    "difference_interval",
    "holm",
    "interaction_p_value",
    "mean_interval",
]
