"""The command line's `+trial=3`, made palatable to Hydra."""

import re
from collections.abc import Sequence

_OPTIONAL_GROUP = re.compile(r"\+?(trial|scale|sweep)=(.*)")
_NUMBERS = re.compile(r"\d+(?:,\d+)*")


def adapt_overrides(arguments: Sequence[str]) -> list[str]:
    """Turn `+trial=3`, `+scale=small` and `+sweep=bayesian` into what Hydra takes, no other.

    Numbers are quoted: Hydra reads a bare one as an int and then refuses it as the name of a
    file in `conf/trial/` (hydra-core 1.3.8: "Config group override must be a string or a
    list"). The plus goes away, because `conf/config.yaml` has a place for these groups: appended,
    the one that is typed last would win, and `+scale=small +trial=3` would not be small.
    """

    def adapt(argument: str) -> str:
        match = _OPTIONAL_GROUP.fullmatch(argument)
        if match is None:
            return argument
        group, value = match.groups()
        if _NUMBERS.fullmatch(value):
            value = ",".join(f"'{number}'" for number in value.split(","))
        return f"{group}={value}"

    return [adapt(argument) for argument in arguments]
