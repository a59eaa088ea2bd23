"""Errors of the disk, explained."""

from collections.abc import Iterator
from contextlib import contextmanager

from src.core.errors import EnvironmentFaultError


@contextmanager
def disk_faults_explained(
    fact: str, received: object, fix: str = "free some space, or data.cache_dir=<another folder>"
) -> Iterator[None]:
    """Turns an OSError of the body into an error with these parts and its reason.

    Args:
        fact: Beginning of the message, without a full stop.
        received: Folder, with its key or the needed space.
        fix: End of the message.

    Raises:
        EnvironmentFaultError: If the body raises an OSError.
    """
    try:
        yield
    except OSError as error:
        raise EnvironmentFaultError(
            f"{fact}: {error.strerror or error}. Received: {received}. Fix: {fix}"
        ) from error
