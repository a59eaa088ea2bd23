"""Errors that a user can fix: their message says what is wrong and what to type instead.

Form: `<fact or invariant>. Received: <name>=<value>. Fix: <command or edit>.` Commands print
them without a traceback. Any other exception is a defect of the project and keeps its traceback.
"""


class ExplainedError(Exception):
    """Base class of errors whose message contains the fix."""


class UsageError(ExplainedError, ValueError):
    """A value that was typed or supplied cannot be used."""


class MissingFileError(ExplainedError, FileNotFoundError):
    """A required file does not exist."""


class EnvironmentFaultError(ExplainedError, RuntimeError):
    """The environment prevents the work: a full disk, a second process."""
