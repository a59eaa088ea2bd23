"""Waiting for a store that others keep busy."""

import functools
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from mlflow.exceptions import MlflowException

from src.console import stderr

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_NUM_TRIES = 10


def is_busy(error: MlflowException) -> bool:
    """Whether the database stayed locked for as long as MLflow waits, 20 s."""
    return bool(error.error_code == "TEMPORARILY_UNAVAILABLE")


def patient(call: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a call to the store: it is tried again while the store is busy, for minutes."""

    @functools.wraps(call)
    def tried_again(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        for _ in range(_NUM_TRIES - 1):
            try:
                return call(*args, **kwargs)
            except MlflowException as error:
                if not is_busy(error):
                    raise
                stderr.print("The tracking store is busy; trying again.")
                time.sleep(1)
        return call(*args, **kwargs)

    return tried_again
