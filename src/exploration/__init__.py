"""A data set as it is, before anything is trained on it: ages, pictures, faults, split."""

from src.exploration.record import Exploration, explore

__all__ = ["Exploration", "explore"]
