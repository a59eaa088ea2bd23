"""The configuration of each job: composed by Hydra, or the first one's with other values."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException


class Composer:
    """Composes one job after another.

    Hydra reads every file again for each, a tenth of a second. Where jobs differ in nothing but
    values of keys that the first one has too, its tree is copied and those values are set.
    """

    def __init__(self, load: Callable[[list[str]], DictConfig], config_loader: Any) -> None:
        """Set up.

        Args:
            load: Composes from overrides, from nothing.
            config_loader: Hydra's.
        """
        self._load = load
        self._parser = OverridesParser.create(config_loader=config_loader)
        self._first: tuple[list[str], DictConfig] | None = None

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The tree of a job, without Hydra's own settings.

        Raises:
            HydraException: If an override cannot be used.
        """
        tree = self._changed(overrides)
        if tree is None:
            tree = self._load(list(overrides))
            with read_write(tree), open_dict(tree):
                tree.pop("hydra", None)
            if self._first is None:
                self._first = list(overrides), copy.deepcopy(tree)
        return tree

    def _changed(self, overrides: Sequence[str]) -> DictConfig | None:
        """The first tree with other values; None where Hydra has to compose."""
        if self._first is None:
            return None
        known, tree = self._first
        new = self._parser.parse_overrides([text for text in overrides if text not in known])
        old = self._parser.parse_overrides([text for text in known if text not in overrides])
        if not {each.key_or_group for each in old} <= {each.key_or_group for each in new}:
            return None
        if not all(_sets_a_value(each, tree) for each in new):
            return None
        tree = copy.deepcopy(tree)
        try:
            for each in new:
                OmegaConf.update(tree, each.key_or_group, each.value())
        except OmegaConfBaseException:
            return None  # Hydra says better what is wrong
        return tree


def _sets_a_value(override: Override, tree: DictConfig) -> bool:
    """Whether it gives another value to a key that is there, and is no group's choice."""
    if override.type is not OverrideType.CHANGE or override.package is not None:
        return False
    key = override.key_or_group
    if key.startswith("hydra") or OmegaConf.is_missing(tree, key):
        return False
    value = OmegaConf.select(tree, key, default=_NOTHING)
    return value is not _NOTHING and not isinstance(value, DictConfig)


_NOTHING = object()
