"""Composes the configuration of each job."""

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

Compose = Callable[[Sequence[str]], DictConfig]
"""Returns the tree of a job from its overrides."""


def composer(load: Callable[[list[str]], DictConfig], config_loader: Any) -> Compose:
    """Returns a function from the overrides of a job to its tree, without Hydra's own settings.

    Hydra reads every file again for each job: 0.15 s on 2 cores, 40 s for 256 jobs. So it composes
    once for each choice of groups; plain values are set in a copy, which takes a tenth of that. The
    function raises a `HydraException` for an override that cannot be used.

    Args:
        load: Returns the tree that Hydra composes from overrides.
        config_loader: Hydra's.
    """
    parser = OverridesParser.create(config_loader=config_loader)
    is_group = functools.cache(lambda key: bool(config_loader.get_group_options(key)))

    @functools.cache
    def composed(*overrides: str) -> DictConfig:
        tree = load(list(overrides))
        with read_write(tree), open_dict(tree):
            tree.pop("hydra", None)
        return tree

    def is_value(override: Override) -> bool:
        """Returns whether it sets a key of the tree, which Hydra does after composing it."""
        key = override.key_or_group
        is_change = override.type is OverrideType.CHANGE and override.package is None
        return is_change and not key.startswith("hydra") and not is_group(key)

    def compose(overrides: Sequence[str]) -> DictConfig:
        parsed = parser.parse_overrides(list(overrides))
        values = [each for each in parsed if is_value(each)]
        groups = [str(each.input_line) for each in parsed if each not in values]
        tree = copy.deepcopy(composed(*groups))
        try:
            for each in values:
                OmegaConf.update(tree, each.key_or_group, each.value())
        except OmegaConfBaseException:
            return composed(*overrides)  # Hydra explains the mistake
        return tree

    return compose
