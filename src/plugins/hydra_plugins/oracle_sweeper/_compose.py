"""Composes the configuration of each job."""

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException


class Composer:
    """Lets Hydra compose once for each choice of groups, and sets plain values in a copy.

    Hydra reads every file again for each job: 0.15 s on 2 cores, 40 s for 256 jobs. A copy takes a
    tenth of that.

    Args:
        load: Returns the tree that Hydra composes from overrides.
        config_loader: Hydra's.
    """

    def __init__(self, load: Callable[[list[str]], DictConfig], config_loader: Any) -> None:
        self._load = load
        self._is_group = functools.cache(lambda key: bool(config_loader.get_group_options(key)))
        self._parser = OverridesParser.create(config_loader=config_loader)
        self._trees: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """Returns the tree of a job, without Hydra's own settings.

        Raises:
            HydraException: If an override cannot be used.
        """
        parsed = self._parser.parse_overrides(list(overrides))
        values = [each for each in parsed if self._is_value(each)]
        groups = tuple(str(each.input_line) for each in parsed if each not in values)
        if groups not in self._trees:
            self._trees[groups] = self._composed(groups)
        tree = copy.deepcopy(self._trees[groups])
        try:
            for each in values:
                OmegaConf.update(tree, each.key_or_group, each.value())
        except OmegaConfBaseException:
            return self._composed(overrides)  # Hydra explains the mistake
        return tree

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        tree = self._load(list(overrides))
        with read_write(tree), open_dict(tree):
            tree.pop("hydra", None)
        return tree

    def _is_value(self, override: Override) -> bool:
        """Returns whether it sets a key of the tree, which Hydra does after composing it."""
        key = override.key_or_group
        return (
            override.type is OverrideType.CHANGE
            and override.package is None
            and not key.startswith("hydra")
            and not self._is_group(key)
        )
