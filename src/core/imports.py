"""Importing large libraries."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from src.core.console import native_chatter_hidden


@contextmanager
def large_imports() -> Iterator[None]:
    """Import TensorFlow, MLflow and their like in the body: quietly, and a quarter faster.

    What a module defines stays to the end. Python's garbage collector would look through all of it
    again and again: while it is imported, after every trial, and for a second when the process
    ends. So it does not look at what is there when the body is over.
    """
    was_enabled, num_modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        with native_chatter_hidden():
            yield
    finally:
        if len(sys.modules) > num_modules:  # else earlier trials' models would stay, too
            gc.freeze()
        if was_enabled:
            gc.enable()
