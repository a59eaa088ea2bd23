"""Overrides of the command line, translated into overrides that Hydra accepts."""

import re
from collections.abc import Sequence
from pathlib import Path

CONF = Path(__file__).parents[2] / "conf"  # absolute: Hydra finds it from any directory

_OPTIONAL_GROUP = re.compile(r"\+?(trial|scale|sweep)=(.*)")
_NUMBERS = re.compile(r"\d+(?:,\d+)*")
_STUDY = re.compile(r"(study|study\.name)=([^'\",{]+)")
_GROUP_OF_VALUES = re.compile(r"(\w+)=\{(.*)\}")


def adapt_overrides(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments with three kinds of overrides in a form that Hydra accepts.

    * `+trial=3`, `+scale=small`, `+sweep=small` lose the plus: `conf/config.yaml` has a place for
      these groups, and a group that is appended would win over those before it. Numbers are quoted,
      since Hydra takes a bare one for an int and refuses it as the name of a file (hydra-core
      1.3.8: "Config group override must be a string or a list").
    * `study=<name>` sets `study.name`, and chooses the file of that name in `conf/study/` if there
      is one. The name is quoted, and so remains a text where it looks like a number.
    * `<group>={<key>: <value>, …}` becomes one override for each key.

    Adapting a second time changes nothing.
    """
    return [
        each
        for argument in arguments
        for each in _adapt(argument)
        if each == argument or each not in arguments
    ]


def _adapt(argument: str) -> list[str]:
    if match := _OPTIONAL_GROUP.fullmatch(argument):
        group, value = match.groups()
        if _NUMBERS.fullmatch(value):
            value = ",".join(f"'{number}'" for number in value.split(","))
        return [f"{group}={value}"]
    if match := _STUDY.fullmatch(argument):
        key, name = match.groups()
        named = f"study.name='{name}'"
        is_file = key == "study" and (CONF / f"study/{name}.yaml").is_file()
        return [argument, named] if is_file else [named]
    if match := _GROUP_OF_VALUES.fullmatch(argument):
        group, text = match.groups()
        pairs = [part.partition(":") for part in _split(text)]
        if all(key.strip() and colon for key, colon, _ in pairs):
            return [f"{group}.{key.strip()}={value.strip()}" for key, _, value in pairs]
    return [argument]  # Hydra explains a mistake


def _split(text: str) -> list[str]:
    """Returns the parts between commas that are in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if character in ("'", '"') and quote in ("", character):
            quote = "" if quote else character
        depth += 0 if quote else (character in "[{(") - (character in "]})")
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts
