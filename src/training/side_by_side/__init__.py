"""Trials that differ only after a frozen backbone, trained side by side in one program.

Each stays a run of its own, with its own curve, state, checkpoint and end, and comes to what it
would come to alone; `src.model.stacked` says how.
"""

from src.training.side_by_side.group import run_side_by_side

__all__ = ["run_side_by_side"]
