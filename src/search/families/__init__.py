"""Searches by name. Each module here defines one or more; none of them is listed by hand."""

import importlib
import pkgutil
from typing import Any

from src.search.search import Search


def search_classes() -> dict[str, type[Search]]:
    """Returns each search by its name, the value of `hydra.sweeper.oracle`."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    found: dict[str, type[Search]] = {}
    waiting: list[Any] = [Search]
    while waiting:
        for search in waiting.pop().__subclasses__():
            if "name" in vars(search):
                found[search.name] = search
            waiting.append(search)
    return found
