"""Calls to the tracking store that are retried while it is busy."""

import functools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ParamSpec, TypeVar

import mlflow
from mlflow.exceptions import MlflowException

from src.core.console import stderr
from src.core.errors import EnvironmentFaultError
from src.core.signals import held_back

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_NUM_TRIES = 10


def is_busy(error: MlflowException) -> bool:
    """Returns whether the database stayed locked for as long as MLflow waits, 20 s."""
    return bool(error.error_code == "TEMPORARILY_UNAVAILABLE")


def undisturbed() -> AbstractContextManager[None]:
    """Returns a context in which an interrupt waits, so that no transaction stays open.

    An exception keeps the frames that it was raised in: the process would find the database locked
    by itself while it records the interruption. Calls to a server can be interrupted, since it may
    take minutes to answer and has transactions of its own.
    """
    return nullcontext() if is_server(mlflow.get_tracking_uri()) else held_back()


def is_server(uri: str) -> bool:
    """Returns whether a tracking URI is the address of an MLflow server."""
    return uri.startswith(("http://", "https://"))


def patient(call: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorates a call to the store: while the store is busy, it is retried for minutes.

    Raises:
        EnvironmentFaultError: If the store belongs to another version of MLflow.
    """

    @functools.wraps(call)
    def retried(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        num_tries = 0
        while True:
            num_tries += 1
            try:
                with undisturbed():
                    return call(*args, **kwargs)
            except MlflowException as error:
                if "out-of-date database schema" in str(error):
                    raise _other_version() from error
                if not is_busy(error) or num_tries == _NUM_TRIES:
                    raise
            stderr.print("Tracking store busy: retrying.")
            time.sleep(1)

    return retried


def _other_version() -> EnvironmentFaultError:
    uri = mlflow.get_tracking_uri()
    shown = uri if uri.startswith("sqlite:") else "<the store's URI>"  # others hold a password
    return EnvironmentFaultError(
        f"The tracking store belongs to another version of MLflow. Received: mlflow "
        f"{mlflow.__version__} with {shown}. Fix: if the store is older, make a copy of it, then "
        f"`mlflow db upgrade {shown}`; if that fails, the store is newer: pip install -U mlflow"
    )
