"""Searches by name. Each module here defines one or more; none of them is listed by hand."""

import importlib
import pkgutil

from src.search.search import Search


def search_classes() -> dict[str, type[Search]]:
    """Returns each search by its name, the value of `hydra.sweeper.oracle`."""
    return {
        search.name: search
        for module in pkgutil.iter_modules(__path__)
        for search in vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        if Search in getattr(search, "__mro__", ()) and "name" in vars(search)
    }
