"""Overfitting of each trial: verdicts, learning curves and generalisation gaps."""
