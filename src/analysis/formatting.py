"""Formatting of numbers and names in a report."""

import math
from collections.abc import Mapping, Sequence


def number(value: float, sign: str = "", decimals: int = 2) -> str:
    """Returns the rounded number; an empty text for NaN."""
    # Adding 0 removes the sign of a zero: after rounding it has no meaning.
    return "" if math.isnan(value) else f"{round(value, decimals) + 0.0:{sign}.{decimals}f}"


def count(how_many: int, noun: str) -> str:
    """Returns the number with its noun in singular or plural."""
    return f"{how_many} {noun}{'' if how_many == 1 else 's'}"


def interval(value: float, low: float, high: float, sign: str = "", decimals: int = 2) -> str:
    """Returns a value and the ends of its interval, where it has one."""
    ends = ", ".join(number(end, sign, decimals) for end in (low, high))
    return number(value, sign, decimals) + ("" if math.isnan(low) else f" [{ends}]")


def with_unit(text: str, unit: str) -> str:
    """Returns an axis label or heading with its unit in parentheses, if there is one."""
    return f"{text} ({unit})" if unit else text


def capitalized(text: str) -> str:
    """Returns the text with a capital first letter; the others stay."""
    return text[:1].upper() + text[1:]


def short(key: str) -> str:
    """Returns the last word of a dotted key."""
    return key.rpartition(".")[2]


def labels(keys: Sequence[str]) -> dict[str, str]:
    """Returns the short name of each key; the whole key where short names are equal."""
    names = [short(key) for key in keys]
    return {
        key: name if names.count(name) == 1 else key for key, name in zip(keys, names, strict=True)
    }


def name_of(configuration: Mapping[str, str]) -> str:
    """Returns a configuration in one line."""
    words = [f"{short(key)} {value}" for key, value in configuration.items()]
    return ", ".join(words) or "the only configuration"
