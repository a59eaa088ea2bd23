"""Stacked heads: trials that differ only after a frozen backbone, trained in one program.

Each trial has its own run, curve, state, checkpoint and end, and the same result as alone.
"""

from src.stacked.group import train_stacked

__all__ = ["train_stacked"]
