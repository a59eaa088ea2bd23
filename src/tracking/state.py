"""Where a trial stands."""

from enum import StrEnum


class State(StrEnum):
    """The tag `state` of a run. An interrupted trial is WAITING: its command makes it go on."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAILED = "FAILED"
