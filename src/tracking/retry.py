"""Waiting for a store that others keep busy."""

import functools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ParamSpec, TypeVar

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.utils.uri import is_http_uri

from src.core.console import stderr
from src.core.signals import held_back

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_NUM_TRIES = 10


def is_busy(error: MlflowException) -> bool:
    """Whether the database stayed locked for as long as MLflow waits, 20 s."""
    return bool(error.error_code == "TEMPORARILY_UNAVAILABLE")


def undisturbed() -> AbstractContextManager[None]:
    """An interrupt waits for the body to end, so that no transaction is left open.

    An exception holds on to the frames that it came from: the database would stay locked by this
    very process while it writes down that it was interrupted. A server may take minutes to answer,
    and has transactions of its own: calls to one can be interrupted.
    """
    return nullcontext() if is_http_uri(mlflow.get_tracking_uri()) else held_back()


def patient(call: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a call to the store: it is tried again while the store is busy, for minutes."""

    @functools.wraps(call)
    def tried_again(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        for _ in range(_NUM_TRIES - 1):
            try:
                with undisturbed():
                    return call(*args, **kwargs)
            except MlflowException as error:
                if not is_busy(error):
                    raise
                stderr.print("The tracking store is busy; trying again.")
                time.sleep(1)
        with undisturbed():
            return call(*args, **kwargs)

    return tried_again
