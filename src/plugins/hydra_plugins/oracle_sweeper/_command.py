"""What was typed and what stands in a sweep file, read as overrides and a space."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import ListConfig

from src.config import adapt_overrides
from src.core.errors import UsageError
from src.search.space import Choices, Condition, Hyperparameter, Interval, Space, check_space


@dataclass(frozen=True)
class Command:
    """What was typed, read.

    Attributes:
        template: Every override in its place: fixed ones whole, swept ones as their key.
        space: What is swept.
    """

    template: tuple[tuple[str, str | None], ...]
    space: Space

    def overrides(self, values: Mapping[str, str]) -> list[str]:
        """The overrides of one job; a swept key without a value is left out."""
        typed = [
            fixed if fixed is not None else f"{key}={values[key]}"
            for key, fixed in self.template
            if fixed is not None or key in values
        ]
        return adapt_overrides(typed)

    def first(self) -> list[str]:
        """The overrides of one job of many: a group may be swept that must not be missing."""
        values = {h.key: h.domain.first for h in self.space if h.condition is None}
        return self.overrides(values)


def read(params: Mapping[str, Any], arguments: Sequence[str], config_loader: Any) -> Command:
    """Parse the sweep file's `params` and the command line, which wins.

    Raises:
        ValueError: If a domain or a condition cannot be used.
    """
    parser = OverridesParser.create(config_loader=config_loader)

    def parse(texts: Sequence[str]) -> dict[str, Override]:
        return {
            override.get_key_element().lstrip("+"): override
            for override in parser.parse_overrides(adapt_overrides(list(texts)))
        }

    typed = parse(arguments)
    parsed = parse([f"{key}={_as_override(value)}" for key, value in params.items()]) | typed
    swept = {key: o for key, o in parsed.items() if o.is_sweep_override()}
    fixed = {
        key: override.get_value_element_as_str()
        for key, override in parsed.items()
        if key not in swept and not override.is_delete()
    }
    domains = {key: _domain(override) for key, override in swept.items()}
    conditions = {key: found for key, o in swept.items() if (found := _condition(o)) is not None}
    # What was typed narrows a sweep file: conditions lose values, and keys whose condition can no
    # longer hold go, with those that depend on them.
    possible: dict[str, tuple[str, ...]] = {key: (text,) for key, text in fixed.items()}
    for key, condition in conditions.items():
        parent = domains.get(condition.key)
        if key not in typed and condition.key in typed and isinstance(parent, Choices):
            possible[condition.key] = parent.texts
        if condition.key in possible:
            left = tuple(text for text in condition.texts if text in possible[condition.key])
            conditions[key] = Condition(condition.key, left)
    gone: set[str] = set()
    while more := {k for k, c in conditions.items() if not c.texts or c.key in gone} - gone:
        gone |= more
    space = [
        Hyperparameter(
            override.get_key_element(),
            domains[key],
            None if key in conditions and conditions[key].key in fixed else conditions.get(key),
        )
        for key, override in swept.items()
        if key not in gone
    ]
    template = tuple(
        (override.get_key_element(), None if key in swept else override.input_line)
        for key, override in parsed.items()
    )
    return Command(template, check_space(space))


def _as_override(value: Any) -> str:
    if isinstance(value, list | ListConfig):  # not choice(…), which takes no null
        return ",".join(map(_spell, value))
    return _spell(value)


def _spell(value: Any) -> str:
    if isinstance(value, list | ListConfig):
        return f"[{','.join(map(_spell, value))}]"
    return "null" if value is None else str(value)


def _domain(override: Override) -> Choices | Interval:
    value = override.value()
    if isinstance(value, IntervalSweep):
        unknown = value.tags - {"log"} - {tag for tag in value.tags if "=" in tag}
        if unknown or value.start is None or value.end is None:
            raise UsageError(
                f"An interval may be tagged `log` or with a condition. Received: "
                f"{override.input_line}. Fix: tag(log, interval(<low>,<high>))"
            )
        is_integer = isinstance(value.start, int) and isinstance(value.end, int)
        return Interval(float(value.start), float(value.end), "log" in value.tags, is_integer)
    texts = tuple(override.sweep_string_iterator())
    if not texts:
        raise UsageError(
            f"Nothing is left to choose from. Received: {override.input_line}. "
            f"Fix: {override.get_key_element()}=<value>,<value>"
        )
    return Choices(texts)


def _condition(override: Override) -> Condition | None:
    """The tag that reads `key=value` or `key=value,value`."""
    tags: set[str] = getattr(override.value(), "tags", set())
    found = sorted(tag for tag in tags if "=" in tag)
    if not found:
        return None
    match = re.fullmatch(r"\s*([^=\s]+)\s*=\s*(.+?)\s*", found[0])
    if match is None or len(found) > 1:
        raise UsageError(
            f"A condition reads `<key>=<value>,<value>`. Received: {override.input_line}. "
            "Fix: tag('optimizer=sgd', choice(…))"
        )
    return Condition(match[1], tuple(text.strip() for text in match[2].split(",")))
