"""Reads the command line and a sweep file as fixed overrides and a space."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override

from src.config.overrides import adapt_overrides
from src.core.errors import UsageError
from src.search.space import (
    Choices,
    Condition,
    Hyperparameter,
    Interval,
    Space,
    as_override,
    check_space,
)


@dataclass(frozen=True)
class Command:
    """Command line and sweep file.

    Attributes:
        template: Text of every override by its key, in order; that of a swept one is None.
        space: The swept keys.
    """

    template: Mapping[str, str | None]
    space: Space

    def overrides(self, values: Mapping[str, str]) -> list[str]:
        """Returns the overrides of one job; a swept key without a value is left out.

        Raises:
            UsageError: If a value is for a key that is fixed.
        """
        for key in values:
            if self.template.get(key) is not None:
                raise UsageError(
                    f"A configuration of the list sets a key that is fixed for all. Received: "
                    f"{self.template[key]}. Fix: leave it out, or {key} out of the list"
                )
        swept = {key: f"{key}={text}" for key, text in values.items()}
        ordered = {key: text for key, text in self.template.items() if text or key in swept}
        return adapt_overrides([text for text in (ordered | swept).values() if text])

    def first(self) -> dict[str, str]:
        """Returns values of one job of many: a group may be swept that must not be missing."""
        domains = {each.key: each.domain for each in self.space if each.condition is None}
        return {
            key: domain.texts[0] if isinstance(domain, Choices) else domain.spell(domain.low)
            for key, domain in domains.items()
        }


def read(params: Mapping[str, Any], arguments: Sequence[str], config_loader: Any) -> Command:
    """Parses the sweep file's `params` and the command line, which has precedence.

    Raises:
        UsageError: If a domain or a condition cannot be used.
    """
    parser = OverridesParser.create(config_loader=config_loader)

    def parse(texts: Sequence[str]) -> dict[str, Override]:
        return {
            override.get_key_element().lstrip("+"): override
            for override in parser.parse_overrides(adapt_overrides(list(texts)))
        }

    typed = parse(arguments)
    in_file = {
        # not choice(…), which takes no null
        key: ",".join(map(as_override, value)) if isinstance(value, list) else as_override(value)
        for key, value in params.items()
    }
    parsed = parse([f"{key}={text}" for key, text in in_file.items()]) | typed
    swept = {key: o for key, o in parsed.items() if o.is_sweep_override()}
    fixed = {
        key: override.get_value_element_as_str()
        for key, override in parsed.items()
        if key not in swept and not override.is_delete()
    }
    domains = {key: _domain(override) for key, override in swept.items()}
    conditions = {key: found for key, o in swept.items() if (found := _condition(o)) is not None}
    # The command line narrows a sweep file: conditions lose values, and keys whose condition can no
    # longer hold are left out, with those that depend on them.
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
    # A condition that is left and names a fixed key holds.
    conditions = {key: each for key, each in conditions.items() if each.key not in fixed}
    space = [
        Hyperparameter(override.get_key_element(), domains[key], conditions.get(key))
        for key, override in swept.items()
        if key not in gone
    ]
    template = {
        override.get_key_element(): None if key in swept else override.input_line
        for key, override in parsed.items()
    }
    return Command(template, check_space(space))


def _domain(override: Override) -> Choices | Interval:
    value = override.value()
    if isinstance(value, IntervalSweep):
        unknown = {tag for tag in value.tags if tag != "log" and "=" not in tag}
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
    """Returns the condition of a tag such as `key=value` or `key=value,value`."""
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
