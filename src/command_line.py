"""What all entry points share: how Hydra is prepared, and how errors reach a person."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode

from src.config import adapt_overrides, schema_nodes
from src.errors import ExplainedError


def prepare_hydra() -> None:
    """Register the schema and adapt `sys.argv`; to be called before Hydra's `main`."""
    register_schema()
    sys.argv[1:] = adapt_overrides(sys.argv[1:])


def register_schema() -> None:
    """Put the schema's classes where `conf/` names them."""
    for (group, name), node in schema_nodes().items():
        ConfigStore.instance().store(group=group, name=name, node=node)


@contextmanager
def explained_errors() -> Iterator[None]:
    """Print an error that explains itself without a traceback, and exit with status 1.

    In a multirun the other jobs still run; Hydra reports the first error again at the end.
    """
    try:
        yield
    except ExplainedError as error:
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            print(f"error: {error}", file=sys.stderr)
            raise CompactHydraException(f"error: {error}") from None
        sys.exit(f"error: {error}")
