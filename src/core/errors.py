"""Errors that a user can fix: their message says what is wrong and what to type instead.

Form: `<fact or invariant>. Received: <name>=<value>. Fix: <command or edit>.` Commands print
them without a traceback. Any other exception is a defect of the project and keeps its traceback.
"""

import difflib
from collections.abc import Iterable


class ExplainedError(Exception):
    """Base class of errors whose message contains the fix."""


class UsageError(ExplainedError, ValueError):
    """A value that was typed or supplied cannot be used."""


class MissingFileError(ExplainedError, FileNotFoundError):
    """A required file does not exist."""


class EnvironmentFaultError(ExplainedError, RuntimeError):
    """The environment prevents the work: a full disk, a second process."""


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """Returns the known name that is most similar to a misspelled one, or else another text."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return close[0] if close else otherwise
