"""The space that a sweep searches: the domain of each swept key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from src.core.errors import UsageError

# Adaptive studies record the `repr` of a hyperparameter and compare it when they are resumed: names
# and fields of the four dataclasses here must not change.


@dataclass(frozen=True)
class Choices:
    """One of several values, each as it is typed in an override."""

    texts: tuple[str, ...]

    @property
    def numbers(self) -> tuple[float, ...] | None:
        """The values as numbers, so that they are ordered; None if one of them is no number."""
        try:
            return tuple(float(text) for text in self.texts)
        except ValueError:
            return None

    def spell(self, value: Any) -> str:
        """Returns the text of a number or text, as it was typed."""
        return self.texts[(self.numbers or self.texts).index(value)]

    def parse(self, text: str) -> Any:
        """Returns the number of a text, or the text."""
        return text if self.numbers is None else self.numbers[self.texts.index(text)]


@dataclass(frozen=True)
class Interval:
    """Any number from `low` to `high`, both included.

    Attributes:
        low: Lower end.
        high: Upper end.
        is_log: Equal ratios, not equal differences, are equally likely.
        is_integer: Only whole numbers are allowed.
    """

    low: float
    high: float
    is_log: bool
    is_integer: bool

    def spell(self, value: float) -> str:
        """Returns four significant digits, or all if four would lie outside the interval."""
        if self.is_integer:
            return str(int(value))
        short = f"{value:.4g}"
        return short if self.low <= float(short) <= self.high else repr(float(value))

    def parse(self, text: str) -> float:
        """Returns the number of a text."""
        return int(text) if self.is_integer else float(text)


@dataclass(frozen=True)
class Condition:
    """Requires that another key has one of these values; otherwise the key is left out."""

    key: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Hyperparameter:
    """One dimension of the space; `key` is a key or a group of the configuration."""

    key: str
    domain: Choices | Interval
    condition: Condition | None = None


Space = tuple[Hyperparameter, ...]


def as_override(value: Any) -> str:
    """Returns the text of a YAML value as it is typed in an override."""
    if isinstance(value, list):
        return f"[{','.join(map(as_override, value))}]"
    return "null" if value is None else str(value)


def check_space(space: Sequence[Hyperparameter]) -> Space:
    """Returns the space, parents before the children whose conditions name them.

    Raises:
        UsageError: If a domain is empty or reversed, or a condition can never hold.
    """
    by_key = {hyperparameter.key: hyperparameter for hyperparameter in space}
    for hyperparameter in space:
        _check_domain(hyperparameter)
        if hyperparameter.condition is not None:
            _check_condition(hyperparameter.key, hyperparameter.condition, by_key)
    ordered: dict[str, Hyperparameter] = {}
    while waiting := [each for each in space if each.key not in ordered]:
        ready = [h for h in waiting if h.condition is None or h.condition.key in ordered]
        if not ready:
            raise UsageError(
                "Conditions must not depend on each other. Received: "
                f"{', '.join(each.key for each in waiting)}. Fix: leave one of the conditions out"
            )
        ordered[ready[0].key] = ready[0]
    return tuple(ordered.values())


def _check_domain(hyperparameter: Hyperparameter) -> None:
    key, domain = hyperparameter.key, hyperparameter.domain
    if isinstance(domain, Choices):
        values = domain.numbers or domain.texts
        if len(set(values)) < len(values):
            raise UsageError(
                "Each value of a sweep is listed once. "
                f"Received: {key}={','.join(domain.texts)}. Fix: leave out the repeated one"
            )
    elif not domain.low < domain.high or (domain.is_log and domain.low <= 0):
        raise UsageError(
            "An interval must go from low to high and, with tag(log, …), begin above 0. Received: "
            f"{key}=interval({domain.low:g},{domain.high:g}). Fix: {key}=interval(<low>,<high>)"
        )


def _check_condition(key: str, condition: Condition, by_key: dict[str, Hyperparameter]) -> None:
    parent = by_key.get(condition.key)
    known = parent.domain.texts if parent and isinstance(parent.domain, Choices) else ()
    if not set(condition.texts) <= set(known):
        fix = f"one of {', '.join(known)}" if known else f"{condition.key}=choice(…)"
        raise UsageError(
            "A condition names a key that is swept over a list, and values of this list. "
            f"Received: {key}=tag('{condition.key}={','.join(condition.texts)}', …). Fix: {fix}"
        )
