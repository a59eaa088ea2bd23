"""The space that a sweep searches: for each swept key, what it may become."""

from collections.abc import Sequence
from dataclasses import dataclass

from src.core.errors import UsageError


@dataclass(frozen=True)
class Choices:
    """One of several values, each as it is typed in an override."""

    texts: tuple[str, ...]

    @property
    def first(self) -> str:
        """One of the values."""
        return self.texts[0]

    @property
    def numbers(self) -> tuple[float, ...] | None:
        """The values as numbers, where all of them are; their order then means something."""
        try:
            return tuple(float(text) for text in self.texts)
        except ValueError:
            return None


@dataclass(frozen=True)
class Interval:
    """Any number from `low` to `high`, both included.

    Attributes:
        low: Lower end.
        high: Upper end.
        is_log: Whether equal ratios, not equal differences, are equally likely.
        is_integer: Whether only whole numbers count.
    """

    low: float
    high: float
    is_log: bool
    is_integer: bool

    @property
    def first(self) -> str:
        """One of the values."""
        return self.spell(self.low)

    def spell(self, value: float) -> str:
        """A value as it is typed: four significant digits, unless those leave the interval."""
        if self.is_integer:
            return str(int(value))
        short = f"{value:.4g}"
        return short if self.low <= float(short) <= self.high else repr(float(value))


@dataclass(frozen=True)
class Condition:
    """The key is part of a configuration only where another one has one of these values."""

    key: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Hyperparameter:
    """One dimension of the space; `key` is a key or a group of the configuration."""

    key: str
    domain: Choices | Interval
    condition: Condition | None = None


Space = tuple[Hyperparameter, ...]


def check_space(space: Sequence[Hyperparameter]) -> Space:
    """The space, parents before the children whose conditions name them.

    Raises:
        UsageError: If a domain is empty or the wrong way round, or a condition can never hold.
    """
    by_key = {hyperparameter.key: hyperparameter for hyperparameter in space}
    for hyperparameter in space:
        _check_domain(hyperparameter)
        if hyperparameter.condition is not None:
            _check_condition(hyperparameter.key, hyperparameter.condition, by_key)
    ordered: list[Hyperparameter] = []
    waiting = list(by_key.values())
    while waiting:
        placed = {hyperparameter.key for hyperparameter in ordered}
        ready = [h for h in waiting if h.condition is None or h.condition.key in placed]
        if not ready:
            keys = ", ".join(hyperparameter.key for hyperparameter in waiting)
            raise UsageError(
                f"Conditions must not go round in a circle. Received: {keys}. "
                "Fix: leave one of the conditions out"
            )
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return tuple(ordered)


def _check_domain(hyperparameter: Hyperparameter) -> None:
    key, domain = hyperparameter.key, hyperparameter.domain
    if isinstance(domain, Choices):
        values = domain.numbers or domain.texts
        if len(set(values)) < len(values):
            raise UsageError(
                "Each value of a sweep is listed once. "
                f"Received: {key}={','.join(domain.texts)}. Fix: leave out the repeated one"
            )
        return
    if not domain.low < domain.high or (domain.is_log and domain.low <= 0):
        least = " and, with tag(log, …), begin above 0" if domain.is_log else ""
        raise UsageError(
            f"An interval must go from low to high{least}. "
            f"Received: {key}=interval({domain.low:g},{domain.high:g}). "
            f"Fix: {key}=interval(<low>,<high>)"
        )


def _check_condition(key: str, condition: Condition, by_key: dict[str, Hyperparameter]) -> None:
    parent = by_key.get(condition.key)
    received = f"Received: {key}=tag('{condition.key}={','.join(condition.texts)}', …)."
    if parent is None or not isinstance(parent.domain, Choices):
        raise UsageError(
            f"A condition names a key that is swept over a list of values. {received} "
            f"Fix: {condition.key}=choice(…)"
        )
    unknown = [text for text in condition.texts if text not in parent.domain.texts]
    if unknown:
        raise UsageError(
            f"A condition names values that its key can take. {received} "
            f"Fix: one of {', '.join(parent.domain.texts)}"
        )
