"""Which configuration is this? Flat names for people, a hash for machines."""

import dataclasses
import hashlib
import json
from typing import Any

from src.config.schema import Config, Precision, PrunerName

# Names, paths and switches that leave the numbers of a trial as they are.
_NOT_IDENTITY = (
    "study",
    "tracking",
    "pruner",  # only cuts a trial short
    "data.root",
    "data.labels_file",
    "data.image_dir",
    "data.columns",
    "data.cache_dir",
    "fit.eval_batch_size",
    "fit.cache_activations",  # but for float16's rounding
    "fit.resume",
    "fit.keep_state",
    "fit.evaluate_test",
)

# What a program may take from one trial to the next without being traced anew.
_NOT_PROGRAM = (
    "study",
    "tracking",
    "pruner",
    "data",
    "augmentation",
    "seed",
    "model.weights",
    "model.dropout_rate",
    "optimizer.learning_rate",
    "schedule",
    "fit.epochs",
    "fit.fidelity",
    "fit.keep_state",
    "fit.early_stopping_patience",
    "fit.resume",
    "fit.train_eval_limit",
    "fit.evaluate_test",
)

# What trials on one frozen backbone may differ in, and still train side by side.
_AFTER_BACKBONE = (
    "model.dropout_rate",
    "model.hidden_units",
    "model.output_activation",
    "model.loss",
    "optimizer",
    "schedule",
    "data.batch_size",
    "seed",
    "study.trial",
    "study.run_id",
)


def flatten(config: Config) -> dict[str, Any]:
    """Every value under its dotted key, such as `optimizer.learning_rate`, in schema order.

    Lists stay whole under one key; enums become their names.
    """
    return dict(_leaves(dataclasses.asdict(config)))


def identity(config: Config) -> dict[str, Any]:
    """The flat configuration less names and paths: all that moves a number."""
    moving = {key: value for key, value in flatten(config).items() if moves_a_number(key)}
    if config.fit.last_epoch == config.fit.epochs:
        del moving["fit.fidelity"]
    return moving


def configuration_hash(config: Config) -> str:
    """First 12 hexadecimal digits of the SHA-256 of the configuration, less names and paths.

    Two trials with one hash differ in nothing that moves a number, so one can stand for the
    other. The order of keys does not matter; the seed does. A fidelity of all epochs is none.
    """
    text = json.dumps(identity(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def program(config: Config) -> tuple[tuple[str, str], ...]:
    """What two trials must share for one process to train both with one traced program.

    Learning rate, dropout rate, batch size, seed, weights and data are not among it; the size of
    the pictures, the layers that learn, the optimizer's class and constants are.
    """
    shared = {"data.image_size": str(config.data.image_size)}
    for key, value in flatten(config).items():
        if not any(key == name or key.startswith(f"{name}.") for name in _NOT_PROGRAM):
            shared[key] = str(value)
    varies = config.schedule.warmup_epochs > 0 or config.schedule.final_fraction < 1
    shared["schedule"] = f"{varies} {config.schedule.warmup_epochs > 0}"
    return tuple(sorted(shared.items()))


def side_by_side(config: Config) -> tuple[tuple[str, str], ...] | None:
    """What trials must share to train side by side; None for one that trains alone."""
    if config.model.freeze != "backbone" or why_alone(config):
        return None
    return tuple(
        (key, str(value))
        for key, value in flatten(config).items()
        if not any(key == name or key.startswith(f"{name}.") for name in _AFTER_BACKBONE)
    )


def why_alone(config: Config) -> str:
    """What keeps a trial on a frozen backbone from training beside others, with the fix, or ""."""
    fit, augmentation = config.fit, config.augmentation
    if config.pruner.name is not PrunerName.none:
        return "a pruner compares trials that are not equally far; fix: pruner=none"
    if not fit.cache_activations:
        return "fit.cache_activations=false; fix: fit.cache_activations=true"
    if augmentation.changes_pictures and augmentation.cached_views is None:
        return "every step augments its pictures anew; fix: augmentation.cached_views=8"
    if fit.precision is not Precision.float32:
        return f"fit.precision={fit.precision}; fix: fit.precision=float32"
    if fit.jit_compile:
        return "fit.jit_compile=true; fix: fit.jit_compile=false"
    return ""


def run_name(config: Config) -> str:
    """`trial 3` within a study, else what is most often varied; a replicate tells its seed."""
    if config.study.trial is not None:
        name = f"trial {config.study.trial}"
    else:
        name = (
            f"learning rate {config.optimizer.learning_rate:g}, "
            f"batch {config.data.batch_size}, dropout {config.model.dropout_rate:g}"
        )
    return f"{name}, seed {config.seed}" if config.seed else name


def moves_a_number(key: str) -> bool:
    """Whether a dotted key is more than a name, a path or a switch."""
    return not any(key == name or key.startswith(f"{name}.") for name in _NOT_IDENTITY)


def _leaves(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            leaves += _leaves(value, prefix=f"{prefix}{key}.")
        else:
            leaves.append((f"{prefix}{key}", value))
    return leaves
