"""The command line's `+trial=3`, made palatable to Hydra."""

import re
from collections.abc import Sequence

_TRIAL = re.compile(r"(\+?trial)=(\d+(?:,\d+)*)")


def quote_trial_numbers(arguments: Sequence[str]) -> list[str]:
    """Quote the numbers of `+trial=3` and `+trial=1,2,3`.

    Hydra reads a bare number as an int and then refuses it as the name of a file in
    `conf/trial/` (hydra-core 1.3.8: "Config group override must be a string or a list"). All
    other arguments are returned unchanged.
    """

    def quote(argument: str) -> str:
        match = _TRIAL.fullmatch(argument)
        if match is None:
            return argument
        key, numbers = match.groups()
        return f"{key}=" + ",".join(f"'{number}'" for number in numbers.split(","))

    return [quote(argument) for argument in arguments]
