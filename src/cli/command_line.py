"""Hydra: launching a function with a composed configuration, composing without a command line."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from src.cli.options import run_command
from src.config import Config, to_config
from src.config.identity import all_declarations
from src.config.overrides import CONF, adapt_overrides
from src.config.schema import mergeable, optimizer_schemas
from src.core.errors import ExplainedError, UsageError, nearest


def launch(task: Callable[[DictConfig], Any]) -> None:
    """Runs a function of a composed tree with the overrides of the command line."""
    register_schema()
    sys.argv[1:] = adapt_overrides(sys.argv[1:])
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # else Hydra prints its errors by itself
    main = hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)
    run_command(lambda: explain_hydra(main))


def explain_hydra(call: Callable[[], Any]) -> Any:
    """Returns the result of a call of Hydra's.

    Raises:
        UsageError: If Hydra or OmegaConf refuses what was typed.
    """
    try:
        return call()
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(_explain(error)) from error
    except ValueError as error:
        if not str(error).startswith("Only one of --run"):  # Hydra's, on its own flags
            raise
        typed = " ".join(sys.argv[1:])
        raise UsageError(f"{error}. Received: {typed}. Fix: leave out -m") from error


def is_multirun() -> bool:
    """Returns whether Hydra runs this job as one of several."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


@contextmanager
def explained_errors() -> Iterator[None]:
    """Prints an explained error of a job without a traceback, and exits with status 1.

    In a multirun the other jobs still run, and Hydra reports the first error at the end.
    """
    try:
        yield
    except ExplainedError as error:
        if is_multirun():
            print(f"error: {error}", file=sys.stderr)
            raise CompactHydraException(str(error)) from None
        sys.exit(f"error: {error}")


def register_schema() -> None:
    """Stores the classes of the schema under the names that `conf/` uses."""
    store = ConfigStore.instance()
    store.store("schema", mergeable(Config))
    for name, schema in optimizer_schemas().items():
        store.store(f"{name.lower()}_schema", mergeable(schema), group="optimizer")


def compose_config(overrides: Sequence[str]) -> Config:
    """Returns the checked configuration that these overrides give.

    Raises:
        UsageError: If a value cannot be used.
        HydraException: If an override cannot be used.
    """
    return to_config(compose_tree(overrides))


def compose_tree(overrides: Sequence[str]) -> DictConfig:
    """Returns the tree that these overrides give, without checking its values.

    Raises:
        HydraException: If an override cannot be used.
    """
    register_schema()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=adapt_overrides(overrides))


def _explain(error: Exception) -> str:
    """Returns Hydra's message, in the project's form where it is about a key or a value."""
    text = str(error).split("\nConfig search path")[0].strip()
    unknown = re.match(r"Could not override '(.+)'", text)
    if unknown:
        key = unknown[1]
        fix = nearest(key, all_declarations(), "`python -m src.train --help` lists all keys")
        return f"`{key}` is not a key of the configuration. Received: {key}=…. Fix: {fix}"
    refused = re.match(r"Error merging override (.+)", text)
    if refused and error.__cause__:
        reason = str(error.__cause__).splitlines()[0].rstrip(".")
        key = refused[1].split("=")[0]
        return f"{reason}. Received: {refused[1]}. Fix: {key}=<another value>"
    return text
