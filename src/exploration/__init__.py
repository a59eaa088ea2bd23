"""Page of a data set before training: labels, pictures, faults and split."""

from src.exploration.publishing import Exploration, explore

__all__ = ["Exploration", "explore"]
