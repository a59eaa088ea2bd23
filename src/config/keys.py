"""Declaration of a configuration key: its range, what it affects, and its neutral value.

`key(...)` is the metadata of each field of `src/config/schema.py`. Hashes, cache keys, groups of
trials that share a program, shapes of a plan and range checks are derived from it in `identity.py`
and `validation.py`; no other module lists keys.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any

_METADATA = "key"


class Affects(Flag):
    """Effects of a key: the things that its value changes.

    | member | changes | is in |
    |---|---|---|
    | NOTHING | no number: a name, a place, a switch | no key |
    | SOURCE | where the faces come from; the data digest stands for it | plan shape |
    | FACES | which faces count, and in which part | hash, plan shape |
    | PIXELS | the decoded pictures | hash, picture and activation cache, plan shape |
    | VIEWS | the augmented training pictures | hash, activation cache of views, plan shape |
    | BATCHES | how faces are put into steps | hash, plan shape, stack |
    | BACKBONE | values up to the end of frozen layers | hash, program, activation cache, plan |
    | HEAD | layers after the backbone | hash, program, plan shape, stack |
    | STEP | how a step changes the weights | hash, program, plan shape, stack |
    | LENGTH | how many epochs are trained, and which one is kept | hash |
    | EXECUTION | how the same numbers are computed | program, plan shape |

    Two further members say how the value enters a computation:

    LIVE: a traced program takes it as a variable; neither its trace nor the cost of a step changes.
    PER_HEAD: heads of one stack may differ in it, apart from its being null or zero.
    """

    NOTHING = 0
    SOURCE = auto()
    FACES = auto()
    PIXELS = auto()
    VIEWS = auto()
    BATCHES = auto()
    BACKBONE = auto()
    HEAD = auto()
    STEP = auto()
    LENGTH = auto()
    EXECUTION = auto()
    LIVE = auto()
    PER_HEAD = auto()


NUMBERS = (
    Affects.FACES | Affects.PIXELS | Affects.VIEWS | Affects.BATCHES | Affects.BACKBONE
    | Affects.HEAD | Affects.STEP | Affects.LENGTH
)  # fmt: skip
"""Effects that change a number of a trial."""


@dataclass(frozen=True)
class Range:
    """Values that a key may take.

    Attributes:
        contains: Returns whether a value is allowed.
        must: What an error says: "`key` must <must>".
        suggestion: A value that is allowed, as it is typed.
    """

    contains: Callable[[Any], bool]
    must: str
    suggestion: Any


REQUIRED = object()
"""Neutral value of a key that every record has."""


@dataclass(frozen=True)
class Key:
    """Declaration of a key.

    Attributes:
        affects: What its value changes.
        range: Values that it may take; None where its type says all.
        neutral: Value that stands for the behaviour before the key was introduced. At this value
            the key is in no hash, and a record without the key has this value. `REQUIRED` for a
            key that every record has.
    """

    affects: Affects
    range: Range | None
    neutral: Any = REQUIRED


def key(affects: Affects, range: Range | None = None, neutral: Any = REQUIRED) -> Mapping[str, Key]:
    """Returns the metadata of a dataclass field that declares it as a key; see `Key`."""
    return {_METADATA: Key(affects, range, neutral)}


def declaration(metadata: Mapping[str, Key]) -> Key:
    """Returns the declaration in the metadata of a field.

    Raises:
        KeyError: If the field was declared without `key`.
    """
    return metadata[_METADATA]


def at_least(least: float, suggestion: Any, unit: str = "", is_optional: bool = False) -> Range:
    """Returns the range of finite numbers >= `least`, and null where `is_optional`."""
    text = f">= {least:g}{unit}"
    return _finite(lambda value: value >= least, text, suggestion, is_optional)


def above(bound: float, suggestion: Any, is_optional: bool = False) -> Range:
    """Returns the range of finite numbers > `bound`, and null where `is_optional`."""
    return _finite(lambda value: value > bound, f"> {bound:g}", suggestion, is_optional)


def between(low: float, high: float, suggestion: Any, includes_high: bool = False) -> Range:
    """Returns the range from `low` (included) to `high` (included where `includes_high`)."""
    bracket = "]" if includes_high else ")"
    return Range(
        lambda value: low <= value < high or (includes_high and value == high),
        f"lie in [{low:g}, {high:g}{bracket}",
        suggestion,
    )


def seed_range() -> Range:
    """Returns the range of seeds: NumPy's legacy seeding takes 32 bits."""
    return Range(lambda value: 0 <= value < 2**32, "lie in [0, 2^32)", 0)


def _finite(holds: Callable[[float], bool], text: str, suggestion: Any, is_optional: bool) -> Range:
    def contains(value: float | None) -> bool:
        return is_optional if value is None else math.isfinite(value) and holds(value)

    return Range(contains, f"be null or {text}" if is_optional else f"be {text}", suggestion)
