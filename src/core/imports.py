"""Import of large libraries."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from src.core.console import native_chatter_hidden


@contextmanager
def large_imports() -> Iterator[None]:
    """Imports TensorFlow, MLflow and others in the body without their output, a quarter faster.

    Objects of imported modules live until the process ends. Without this context, Python's garbage
    collector would scan them during the import, after every trial, and for a second at exit.
    """
    was_enabled, num_modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        with native_chatter_hidden():
            yield
    finally:
        if len(sys.modules) > num_modules:  # else models of earlier trials would be kept too
            gc.freeze()
        if was_enabled:
            gc.enable()
