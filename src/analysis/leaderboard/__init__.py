"""Leaderboard: configurations ranked by the objective of the study."""
