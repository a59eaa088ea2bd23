"""Keys of a configuration: its hash, and what it shares with others.

Everything here is derived from the declarations beside the fields of `src/config/schema.py`.
"""

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf

from src.config.keys import NUMBERS, REQUIRED, Affects, Key, declaration
from src.config.schema import (
    Config,
    DataConfig,
    OptimizerConfig,
    Precision,
    mergeable,
    optimizer_schemas,
)
from src.config.study_schema import PrunerName
from src.core.errors import UsageError

KeyValues = tuple[tuple[str, str], ...]
"""Dotted keys with their values as text, in alphabetical order."""

_TRACED = Affects.BACKBONE | Affects.HEAD | Affects.STEP | Affects.EXECUTION
_AFTER_BACKBONE = Affects.HEAD | Affects.STEP | Affects.BATCHES
_TIMED = (NUMBERS | Affects.SOURCE | Affects.EXECUTION) & ~Affects.LENGTH


@functools.cache
def declarations(optimizer: str | None = None) -> Mapping[str, Key]:
    """Returns the declaration of each dotted key.

    Args:
        optimizer: Keras's name of the optimizer; None for the keys that all optimizers share.

    Raises:
        UsageError: If there is no such optimizer.
    """
    return {**_declared(Config), **_declared(_optimizer_schema(optimizer), "optimizer.")}


def flatten(config: Config) -> dict[str, Any]:
    """Returns every value under its dotted key, such as `optimizer.learning_rate`.

    The order is the schema's. Lists stay whole under one key; enums become their names.
    """
    return dict(_leaves(dataclasses.asdict(config)))


def unflatten(values: Mapping[str, Any]) -> Config:
    """Returns the configuration of a record, the inverse of `flatten`.

    A key that was introduced after the record was written has its neutral value. Ranges are not
    checked.

    Args:
        values: Value by dotted key, as JSON keeps them.

    Raises:
        UsageError: If a key is unknown, or one that every record has is missing.
    """
    name = values.get("optimizer.name")
    known = declarations(name)
    completed = complete(values)
    unknown = [f"{key}={values[key]}" for key in sorted(set(values) - set(known))]
    missing = [key for key in known if key not in completed]
    if unknown or missing:
        raise UsageError(
            "The record has other keys than the configuration. Received: unknown keys "
            f"{', '.join(unknown) or '(none)'}; missing keys {', '.join(missing) or '(none)'}. "
            "Fix: check out the commit that ran it (the run's page shows it)"
        )
    tree = mergeable(Config)
    tree.optimizer = mergeable(_optimizer_schema(name))
    for key, value in completed.items():
        OmegaConf.update(tree, key, _escaped(value))
    config: Any = OmegaConf.to_object(tree)
    return config


def complete(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a record with the neutral values of all keys that were introduced after it."""
    known = declarations(values.get("optimizer.name"))
    later = {
        key: its.neutral
        for key, its in known.items()
        if its.neutral is not REQUIRED and key not in values
    }
    return {**values, **later}


def identity(config: Config) -> dict[str, Any]:
    """Returns the flat configuration less what changes no number.

    A fidelity of all epochs is none, and a key at its neutral value is left out.
    """
    affecting = _affecting(config, NUMBERS)
    moving = {key: value for key, its, value in affecting if value != its.neutral}
    if config.fit.last_epoch == config.fit.epochs:
        moving.pop("fit.fidelity")
    return moving


def configuration_hash(config: Config) -> str:
    """Returns the first 12 hexadecimal digits of the SHA-256 of `identity`.

    Two trials with one hash differ in nothing that changes a number, so one can stand for the
    other. The order of keys does not matter; the seed does.
    """
    text = json.dumps(identity(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@functools.cache
def all_declarations() -> Mapping[str, Key]:
    """Returns the declaration of each dotted key, those of all optimizers included."""
    return {key: its for name in optimizer_schemas() for key, its in declarations(name).items()}


def affects_numbers(name: str) -> bool:
    """Returns whether a dotted key of any optimizer, or an unknown key, can change a number."""
    its = all_declarations().get(name)
    return its is None or bool(its.affects & NUMBERS)


def program(config: Config) -> KeyValues:
    """Returns what two trials must share for one process to train both with one traced program.

    Learning rate, dropout rate, batch size, seed, weights and data are not part of it.
    """
    traced = _affecting(config, _TRACED)
    shared = {key: value for key, its, value in traced if Affects.LIVE not in its.affects}
    warms_up = config.schedule.warmup_epochs > 0
    shared["schedule"] = f"{warms_up or config.schedule.final_fraction < 1} {warms_up}"
    return _texts(shared)


def stack_group(config: Config) -> KeyValues | None:
    """Returns what trials must share for their heads to train together.

    None for a trial that trains alone: see `why_alone`.
    """
    if config.model.freeze != "backbone" or why_alone(config):
        return None
    every = _affecting(config, ~Affects.NOTHING)
    return _texts({key: value for key, its, value in every if not its.affects & _AFTER_BACKBONE})


def stack_key(config: Config) -> KeyValues:
    """Returns what heads of one group must share to lie in one stack, less their shapes.

    Of a value that may differ by head only the kind counts: null, zero, or another one.
    """
    return _texts(
        {
            key: _kind(value) if Affects.PER_HEAD in its.affects else value
            for key, its, value in _affecting(config, _AFTER_BACKBONE)
            if key != "seed"
        }
    )


def why_alone(config: Config) -> str:
    """Returns why a trial on a frozen backbone trains alone, with the fix, or an empty text."""
    fit, augmentation = config.fit, config.augmentation
    if config.pruner.name is not PrunerName.none:
        return "a pruner compares trials that are not equally far; fix: pruner=none"
    if not fit.cache_activations:
        return "fit.cache_activations=false; fix: fit.cache_activations=true"
    if augmentation.changes_pictures and augmentation.cached_views is None:
        return "every step draws new views of its pictures; fix: augmentation.cached_views=8"
    if fit.precision is not Precision.float32:
        return f"fit.precision={fit.precision}; fix: fit.precision=float32"
    if fit.jit_compile:
        return "fit.jit_compile=true; fix: fit.jit_compile=false"
    return ""


def cost_shape(config: Config) -> KeyValues:
    """Returns what two trials must share to take equally long to start and for an epoch.

    Every key counts that changes a number or how it is computed, but for the number of epochs and
    for values that a traced program takes as variables. Of a change to pictures it counts whether
    it is on.
    """
    return _texts(
        {
            key: bool(value) if Affects.VIEWS in its.affects else value
            for key, its, value in _affecting(config, _TIMED)
            if Affects.LIVE not in its.affects
        }
    )


def pixel_values(data: DataConfig) -> dict[str, Any]:
    """Returns the keys that change a decoded picture, with their values.

    A key at its neutral value is left out: it decodes as before the key was introduced.
    """
    known = declarations()
    return {
        key: value
        for key, value in _leaves(dataclasses.asdict(data), "data.")
        if Affects.PIXELS in known[key].affects and value != known[key].neutral
    }


def activation_values(config: Config, is_view: bool) -> dict[str, Any]:
    """Returns the keys that change an activation of the frozen layers, with their values.

    A key at its neutral value is left out.

    Args:
        config: The trial's.
        is_view: Whether the activations are of augmented pictures.
    """
    wanted = Affects.PIXELS | Affects.BACKBONE | (Affects.VIEWS if is_view else Affects.NOTHING)
    affecting = _affecting(config, wanted)
    return {key: value for key, its, value in affecting if value != its.neutral}


def run_name(config: Config) -> str:
    """Returns `trial 3` within a study, else the usual hyperparameters, and a seed above 0."""
    name = (
        f"learning rate {config.optimizer.learning_rate:g}, "
        f"batch {config.data.batch_size}, dropout {config.model.dropout_rate:g}"
    )
    if config.study.trial is not None:
        name = f"trial {config.study.trial}"
    return f"{name}, seed {config.seed}" if config.seed else name


def _affecting(config: Config, effects: Affects) -> Iterator[tuple[str, Key, Any]]:
    """Yields the keys with one of these effects, their declarations and their values."""
    known = declarations(config.optimizer.name)
    for key, value in flatten(config).items():
        if known[key].affects & effects:
            yield key, known[key], value


def _texts(values: Mapping[str, Any]) -> KeyValues:
    return tuple(sorted((key, str(value)) for key, value in values.items()))


def _kind(value: Any) -> str:
    return "null" if value is None else "other" if value else "zero"


def _optimizer_schema(name: str | None) -> type[OptimizerConfig]:
    if name is None:
        return OptimizerConfig
    schemas = optimizer_schemas()
    if name not in schemas:
        raise UsageError(
            f"The optimizer is not known. Received: optimizer.name={name}. "
            f"Fix: optimizer=<one of {', '.join(known.lower() for known in schemas)}>"
        )
    return schemas[name]


def _declared(schema: type, prefix: str = "") -> dict[str, Key]:
    known: dict[str, Key] = {}
    for field in dataclasses.fields(schema):
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            known |= _declared(field.type, f"{prefix}{field.name}.")
        else:
            known[f"{prefix}{field.name}"] = declaration(field.metadata)
    return known


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, prefix=f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _escaped(value: Any) -> Any:
    """Returns a JSON value in which OmegaConf reads `${` as text, not as an interpolation."""
    match value:
        case str():
            return re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
        case list():
            return [_escaped(each) for each in value]
        case dict():
            return {key: _escaped(each) for key, each in value.items()}
        case _:
            return value
