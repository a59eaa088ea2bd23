"""What all entry points share: how Hydra is prepared, and how errors reach a person."""

import difflib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.options import CONF
from src.config import Config, adapt_overrides, schema_nodes, to_config
from src.core.errors import ExplainedError
from src.core.signals import handled, raise_interrupt


def launch(hydra_main: Callable[[], None]) -> None:
    """Run a function that `hydra.main` decorates; what a person did wrong needs no traceback."""
    register_schema()
    sys.argv[1:] = adapt_overrides(sys.argv[1:])
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # else Hydra prints its errors by itself
    try:
        with handled((signal.SIGINT,), raise_interrupt):  # so that it can be held back
            hydra_main()
    except ExplainedError as error:  # a sweep's
        sys.exit(f"error: {error}")
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {_explain(error)}")
    except ValueError as error:
        if not str(error).startswith("Only one of --run"):  # Hydra's, on its own flags
            raise
        sys.exit(f"error: {error}. Received: {' '.join(sys.argv[1:])}. Fix: leave out -m")
    except KeyboardInterrupt:
        print("Interrupted.")
        sys.exit(130)


def register_schema() -> None:
    """Put the schema's classes where `conf/` names them."""
    for (group, name), node in schema_nodes().items():
        ConfigStore.instance().store(group=group, name=name, node=node)


def compose_config(overrides: Sequence[str]) -> Config:
    """The configuration of a command line, where no command line was typed.

    Raises:
        ValueError: If an override or a value cannot be used.
    """
    register_schema()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return to_config(compose("config", overrides=adapt_overrides(overrides)))


@contextmanager
def explained_errors() -> Iterator[None]:
    """Print an error that explains itself without a traceback, and exit with status 1.

    In a multirun the other jobs still run; the first error is told again at the end.
    """
    try:
        yield
    except ExplainedError as error:
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            print(f"error: {error}", file=sys.stderr)
            raise CompactHydraException(str(error)) from None
        sys.exit(f"error: {error}")


def _explain(error: Exception) -> str:
    """Hydra's message in the project's form, where it is about a key or a value."""
    text = str(error).split("\nConfig search path")[0].strip()
    unknown = re.match(r"Could not override '(.+)'", text)
    if unknown:
        key = unknown[1]
        close = difflib.get_close_matches(key, _known_keys(), n=1)
        fix = close[0] if close else "`python -m src.train --help` lists all keys"
        return f"`{key}` is not a key of the configuration. Received: {key}=…. Fix: {fix}"
    refused = re.match(r"Error merging override (.+)", text)
    if refused and error.__cause__:
        reason = str(error.__cause__).splitlines()[0].rstrip(".")
        key = refused[1].split("=")[0]
        return f"{reason}. Received: {refused[1]}. Fix: {key}=<another value>"
    return text


def _known_keys() -> list[str]:
    """Every dotted key of the configuration, whatever groups are chosen."""
    nodes = schema_nodes()
    return [key for (group, _), node in nodes.items() for key in _keys(node, group)]


def _keys(node: DictConfig, prefix: str | None) -> Iterator[str]:
    for key in map(str, node):
        name = f"{prefix}.{key}" if prefix else key
        yield name
        if not OmegaConf.is_missing(node, key) and isinstance(node[key], DictConfig):
            yield from _keys(node[key], name)
