"""Errors that a person can mend: their message says what is wrong and what to type instead.

Form: `<fact or invariant>. Received: <name>=<value>. Fix: <command or edit>.` Entry points print
them without a traceback. Everything else is a defect of ours and keeps its traceback.
"""


class ExplainedError(Exception):
    """What all errors that explain themselves have in common."""


class UsageError(ExplainedError, ValueError):
    """Something typed or supplied cannot be used."""


class MissingFileError(ExplainedError, FileNotFoundError):
    """A file that is needed is not there."""


class EnvironmentFaultError(ExplainedError, RuntimeError):
    """The machine stands in the way: a full disk, a second process."""
