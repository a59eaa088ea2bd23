"""Which configuration is this? Flat names for people, a hash for machines."""

import dataclasses
import hashlib
import json
from typing import Any

from src.config.schema import Config

# Names, paths and switches that leave the numbers of a trial as they are.
_NOT_IDENTITY = (
    "study",
    "tracking",
    "data.root",
    "data.labels_file",
    "data.image_dir",
    "data.columns",
    "data.cache_dir",
    "fit.eval_batch_size",
    "fit.resume",
    "fit.evaluate_test",
)


def flatten(config: Config) -> dict[str, Any]:
    """Every value under its dotted key, such as `optimizer.learning_rate`, in schema order.

    Lists stay whole under one key; enums become their names.
    """
    return dict(_leaves(dataclasses.asdict(config)))


def configuration_hash(config: Config) -> str:
    """First 12 hexadecimal digits of the SHA-256 of the configuration, less names and paths.

    Two trials with one hash differ in nothing that moves a number, so one can stand for the
    other. The order of keys does not matter; the seed does.
    """
    identity = {key: value for key, value in flatten(config).items() if not _is_name_or_path(key)}
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _is_name_or_path(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in _NOT_IDENTITY)


def _leaves(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            leaves += _leaves(value, prefix=f"{prefix}{key}.")
        else:
            leaves.append((f"{prefix}{key}", value))
    return leaves
