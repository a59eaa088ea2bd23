"""Numbers as a report writes them."""

import math
from collections.abc import Mapping


def number(value: float, sign: str = "", decimals: int = 2) -> str:
    """With so many decimals; empty for what is no number."""
    # Zero has no minus: of what is rounded to it, the sign means nothing.
    return "" if math.isnan(value) else f"{round(value, decimals) + 0.0:{sign}.{decimals}f}"


def count(how_many: int, noun: str) -> str:
    """So many of something."""
    return f"{how_many} {noun}{'' if how_many == 1 else 's'}"


def interval(triple: tuple[float, float, float], sign: str = "") -> str:
    """A value and the ends of its interval, where it has one."""
    value, low, high = triple
    ends = "" if math.isnan(low) else f" [{low:{sign}.1f}, {high:{sign}.1f}]"
    return f"{value:{sign}.1f}{ends}"


def name_of(configuration: Mapping[str, str]) -> str:
    """A configuration in a line."""
    words = [f"{key.rpartition('.')[2]} {value}" for key, value in configuration.items()]
    return ", ".join(words) or "the only configuration"
