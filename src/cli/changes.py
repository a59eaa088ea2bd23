"""Changes to a recorded configuration, typed as overrides."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from omegaconf import OmegaConf

from src.cli.command_line import compose_tree, explain_hydra
from src.config import Config
from src.config.overrides import adapt_overrides
from src.config.validation import validate
from src.core.errors import UsageError

_FILES = {"trial", "scale", "sweep"}  # groups whose files set keys of several groups


def changed(config: Config, overrides: Sequence[str]) -> Config:
    """Returns a configuration with typed changes.

    Hydra composes the changes alone, on the defaults; the changed values are then taken over. A
    group such as `augmentation=none` replaces all its values; keys win over groups.

    Args:
        config: A recorded configuration.
        overrides: As they are typed for `src.train`.

    Raises:
        UsageError: If an override is of another kind, or a value cannot be used.
    """
    parser = OverridesParser.create()
    parsed = explain_hydra(lambda: parser.parse_overrides(adapt_overrides(overrides)))
    for override in parsed:
        name = override.get_key_element().lstrip("+~")
        is_other = override.is_sweep_override() or override.type is OverrideType.DEL
        if name in _FILES or is_other:
            raise UsageError(
                "A recorded trial can be changed by single values and by whole groups. "
                f"Received: {override.input_line}. Fix: such as fit.epochs=2 augmentation=none"
            )
    names = [override.key_or_group for override in parsed]
    recorded = [f"optimizer={config.optimizer.name.lower()}", f"data={config.data.layout}"]
    defaults = [each for each in recorded if each.partition("=")[0] not in names]
    tree = explain_hydra(lambda: compose_tree([*defaults, *overrides]))
    composed: Any = OmegaConf.to_object(tree)
    for name in sorted(names, key=lambda name: "." in name):
        config = _replaced(config, composed, name.split("."))
    validate(config)
    return config


def as_yaml(config: Config) -> str:
    """Returns a configuration in the form in which `--cfg job` shows it."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _replaced(node: Any, other: Any, path: Sequence[str]) -> Any:
    """Returns the node with the value that another one has at this path."""
    name, *rest = path
    value = getattr(other, name)
    if rest:
        value = _replaced(getattr(node, name), value, rest)
    return dataclasses.replace(node, **{name: value})
