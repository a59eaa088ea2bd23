"""Confidence intervals and tests. Needs only NumPy and SciPy."""
