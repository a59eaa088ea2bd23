"""From Hydra's composed tree to a checked, frozen `Config`."""

import dataclasses
import difflib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.config.identity import flatten
from src.config.schema import (
    AdamConfig,
    AdamWConfig,
    AugmentationConfig,
    Config,
    DataConfig,
    FitConfig,
    Layout,
    ModelConfig,
    OptimizerConfig,
    PrunerConfig,
    ScheduleConfig,
    SGDConfig,
    SplitMethod,
)
from src.core.errors import UsageError

MIN_IMAGE_SIZE = 32  # keras.applications.ResNet50 refuses less
BACKBONE_BLOCKS = {"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3}
"""Blocks of each stage of ResNet50 (He et al. 2016, table 1), named such as `conv4_block6`."""
FREEZABLE = (
    "none", "backbone", "conv1", *BACKBONE_BLOCKS,
    *(f"{stage}_block{n}" for stage, last in BACKBONE_BLOCKS.items() for n in range(1, last + 1)),
)  # fmt: skip
OPTIMIZER_NAMES = {AdamWConfig: "AdamW", AdamConfig: "Adam", SGDConfig: "SGD"}
_STUDY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .-]*")  # a folder, and part of a query


def to_config(tree: DictConfig) -> Config:
    """Turn the composed tree into frozen dataclasses and check every value.

    Raises:
        UsageError: If a key is unknown or missing, a value lies outside its range, or two values
            exclude each other. All mistakes are listed at once.
    """
    try:
        unknown = list(_unknown_keys(tree))
        if unknown:
            raise UsageError("\n".join(unknown))
        config: Any = OmegaConf.to_object(tree)
    except OmegaConfBaseException as error:
        reason = str(error.msg).splitlines()[0]
        fix = f"give it a value, such as {error.full_key}=… on the command line"
        raise UsageError(f"{reason}. Received: {error.full_key}. Fix: {fix}") from error
    validate(config)
    return config


def validate(config: Config) -> None:
    """Check ranges and combinations.

    Raises:
        UsageError: With one line for each mistake.
    """
    mistakes = [
        *_check_data(config.data),
        *_check_split(config.data),
        *_check_model(config.model),
        *_check_optimizer(config.optimizer),
        *_check_schedule(config.schedule, config.fit.epochs),
        *_check_augmentation(config.augmentation),
        *_check_fit(config.fit),
        *_check_pruner(config.pruner),
        *_check("seed", config.seed, 0 <= config.seed < 2**32, "lie in [0, 2^32)", 0),
        *_check("study.name", config.study.name, is_study_name(config.study.name),
                "consist of letters, digits, `_`, `-`, `.` and spaces, and not begin with a dot",
                "adhoc"),
        *_check_claims(config),
        *_check_test_part(config),
    ]  # fmt: skip
    if mistakes:
        raise UsageError("\n".join(mistakes))


def is_study_name(name: str) -> bool:
    """Whether a study may be called so."""
    return _STUDY_NAME.fullmatch(name) is not None


def _check(key: str, value: Any, holds: object, must: str, suggestion: Any) -> Iterator[str]:
    if not holds:
        yield f"`{key}` must {must}. Received: {key}={_spell(value)}. Fix: {key}={suggestion}"


def _spell(value: Any) -> str:
    return "null" if value is None else str(value)


def _check_data(data: DataConfig) -> Iterator[str]:
    size = data.image_size
    if data.layout is not Layout.sample:
        yield from _check_root(data)
    if data.layout is Layout.sample and data.root is not None:
        yield (
            "`data=sample` draws its own faces and reads no folder. "
            f"Received: data=sample data.root={data.root}. Fix: data=labels_csv data.root=<folder>"
        )
    if data.layout is Layout.sample:
        yield from _check("data.num_images", data.num_images, data.num_images >= 1, "be >= 1", 1200)
    yield from _check("data.image_size", size, size >= MIN_IMAGE_SIZE,
                      f"be >= {MIN_IMAGE_SIZE} px", 64)  # fmt: skip
    yield from _check("data.batch_size", data.batch_size, data.batch_size >= 1, "be >= 1", 32)
    yield from _check("data.limit", data.limit, data.limit is None or data.limit >= 2,
                      "be null or >= 2 faces", 500)  # fmt: skip
    yield from _check("data.max_bad_fraction", data.max_bad_fraction,
                      0 <= data.max_bad_fraction <= 1, "lie in [0, 1]", 0.05)  # fmt: skip
    yield from _check("data.max_pixels", data.max_pixels, data.max_pixels >= size**2,
                      "be >= data.image_size squared", 50_000_000)  # fmt: skip


def _check_root(data: DataConfig) -> Iterator[str]:
    if data.root is None:
        yield (
            f"`data={data.layout}` needs a folder. Received: data.root=null. "
            "Fix: data.root=<folder>, or data=sample for faces that the project draws"
        )
    elif not Path(data.root).is_dir():
        yield (
            f"The data folder does not exist. Received: data.root={data.root}. "
            "Fix: data.root=<existing folder>, or data=sample for faces that the project draws"
        )


def _check_split(data: DataConfig) -> Iterator[str]:
    split = data.split
    yield from _check("data.split.seed", split.seed, 0 <= split.seed < 2**32,
                      "lie in [0, 2^32)", 0)  # fmt: skip
    if split.method is SplitMethod.official:
        has_split = data.layout is Layout.appa_real or data.columns.split is not None
        if data.layout is Layout.utkface or not has_split:
            yield (
                f"`data={data.layout}` has no official split. "
                f"Received: data.split.method=official data.columns.split={data.columns.split}. "
                "Fix: data.split.method=stratified, or data.columns.split=<column> of a labels_csv"
            )
        return
    for name in ("val_fraction", "test_fraction"):
        value = getattr(split, name)
        yield from _check(f"data.split.{name}", value, 0 <= value < 1, "lie in [0, 1)", 0.2)
    total = split.val_fraction + split.test_fraction
    if split.val_fraction == 0 or total >= 1:
        yield (
            "Validation must get some faces and training the rest. Received: "
            f"data.split.val_fraction={split.val_fraction} "
            f"data.split.test_fraction={split.test_fraction}. Fix: data.split.val_fraction=0.2"
        )
    if split.method is SplitMethod.notebook and split.test_fraction > 0:
        yield (
            "The notebook split has no test part. Received: "
            f"data.split.test_fraction={split.test_fraction}. Fix: data.split.test_fraction=0"
        )


def _check_claims(config: Config) -> Iterator[str]:
    known = flatten(config)
    for place, claim in enumerate(config.study.claims):
        key = f"study.claims[{place}]"
        yield from _check(f"{key}.says", claim.says, claim.says.strip(), "be a sentence",
                          '"Dropout lowers the error."')  # fmt: skip
        yield from _check(f"{key}.at_least", claim.at_least, math.isfinite(claim.at_least),
                          "be a number", 0.0)  # fmt: skip
        if claim.raising is not None and claim.raising not in known:
            close = difflib.get_close_matches(claim.raising, known, n=1)
            yield from _check(f"{key}.raising", claim.raising, False,
                              "be null or a key of the configuration",
                              close[0] if close else "optimizer.learning_rate")  # fmt: skip


def _check_test_part(config: Config) -> Iterator[str]:
    split = config.data.split
    has_test = split.method is SplitMethod.official or split.test_fraction > 0
    if config.fit.evaluate_test and not has_test:
        yield (
            "This split has no test part. Received: fit.evaluate_test=true "
            f"data.split.test_fraction={split.test_fraction}. "
            "Fix: data.split.test_fraction=0.2, or fit.evaluate_test=false"
        )


def _check_model(model: ModelConfig) -> Iterator[str]:
    rate = model.dropout_rate
    yield from _check("model.dropout_rate", rate, 0 <= rate < 1, "lie in [0, 1)", 0.5)
    yield from _check("model.hidden_units", model.hidden_units,
                      all(units >= 1 for units in model.hidden_units),
                      "hold widths >= 1, or be empty", "[48]")  # fmt: skip
    momentum = model.batch_norm_momentum
    yield from _check("model.batch_norm_momentum", momentum, 0 <= momentum < 1,
                      "lie in [0, 1)", 0.99)  # fmt: skip
    weights = model.weights
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        yield (
            f"The weights file does not exist. Received: model.weights={weights}. "
            "Fix: model.weights=imagenet, model.weights=<file>.weights.h5 or model.weights=null"
        )
    yield from _check("model.freeze", model.freeze, model.freeze in FREEZABLE,
                      f"be one of {', '.join(FREEZABLE)}", "conv4_block6")  # fmt: skip
    if weights is None and model.freeze != "none":
        yield (
            "Frozen random weights never learn. Received: model.weights=null "
            f"model.freeze={model.freeze}. Fix: model.freeze=none, or model.weights=imagenet"
        )


def _check_optimizer(optimizer: OptimizerConfig) -> Iterator[str]:
    name = OPTIMIZER_NAMES[type(optimizer)]
    yield from _check("optimizer.name", optimizer.name, optimizer.name == name,
                      f"be {name} here; optimizer=sgd chooses another", name)  # fmt: skip
    epsilon = getattr(optimizer, "epsilon", 1)
    yield from _check("optimizer.epsilon", epsilon, 0 < epsilon < 1e3, "be > 0", 1e-7)
    rate = optimizer.learning_rate
    yield from _check("optimizer.learning_rate", rate, 0 < rate < float("inf"), "be > 0", 1e-4)
    clipnorm = optimizer.clipnorm
    yield from _check("optimizer.clipnorm", clipnorm, clipnorm is None or clipnorm > 0,
                      "be null or > 0", 1.0)  # fmt: skip
    decay = getattr(optimizer, "weight_decay", None)
    yield from _check("optimizer.weight_decay", decay, decay is None or decay >= 0,
                      "be null or >= 0", 0.01)  # fmt: skip
    unit_interval = ("momentum",) if isinstance(optimizer, SGDConfig) else ("beta_1", "beta_2")
    for name in unit_interval:
        value = getattr(optimizer, name)
        yield from _check(f"optimizer.{name}", value, 0 <= value < 1, "lie in [0, 1)", 0.9)


def _check_schedule(schedule: ScheduleConfig, epochs: int) -> Iterator[str]:
    warmup, final = schedule.warmup_epochs, schedule.final_fraction
    yield from _check("schedule.warmup_epochs", warmup, 0 <= warmup < max(epochs, 1),
                      f"lie in [0, fit.epochs) = [0, {epochs})", 0)  # fmt: skip
    yield from _check("schedule.final_fraction", final, 0 <= final <= 1, "lie in [0, 1]", 1)


def _check_augmentation(augmentation: AugmentationConfig) -> Iterator[str]:
    degrees = augmentation.rotation_degrees
    yield from _check("augmentation.rotation_degrees", degrees, 0 <= degrees <= 180,
                      "lie in [0, 180]", 15)  # fmt: skip
    for name in ("shift_fraction", "zoom_fraction", "brightness", "contrast"):
        value = getattr(augmentation, name)
        yield from _check(f"augmentation.{name}", value, 0 <= value < 1, "lie in [0, 1)", 0.1)
    views = augmentation.cached_views
    yield from _check("augmentation.cached_views", views, views is None or views >= 1,
                      "be null or >= 1", "null")  # fmt: skip


def _check_fit(fit: FitConfig) -> Iterator[str]:
    yield from _check("fit.epochs", fit.epochs, fit.epochs >= 1, "be >= 1", 20)
    fidelity = fit.fidelity
    yield from _check("fit.fidelity", fidelity, fidelity is None or 1 <= fidelity <= fit.epochs,
                      f"be null or lie in [1, fit.epochs] = [1, {fit.epochs}]", "null")  # fmt: skip
    patience = fit.early_stopping_patience
    yield from _check("fit.early_stopping_patience", patience, patience is None or patience >= 1,
                      "be null or >= 1", 5)  # fmt: skip
    if fit.jit_compile and fit.deterministic:
        yield (
            "Keras leaves XLA out where operations must be deterministic. Received: "
            "fit.jit_compile=true fit.deterministic=true. Fix: fit.deterministic=false"
        )
    for name in ("eval_batch_size", "train_eval_limit"):
        value = getattr(fit, name)
        yield from _check(f"fit.{name}", value, value >= 1, "be >= 1", 64)


def _check_pruner(pruner: PrunerConfig) -> Iterator[str]:
    least = {"warmup_epochs": 1, "min_trials": 1, "reduction_factor": 2}
    for name, minimum in least.items():
        value = getattr(pruner, name)
        yield from _check(f"pruner.{name}", value, value >= minimum, f"be >= {minimum}", 3)


def _unknown_keys(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Keys that no schema class has: Hydra lets `+group.typo=1` through."""
    schema = OmegaConf.get_type(node)
    if not dataclasses.is_dataclass(schema):
        return
    known = [field.name for field in dataclasses.fields(schema)]
    for key in node:
        name = f"{prefix}{key!s}"
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            fix = f"{prefix}{close[0]}" if close else f"one of {', '.join(known)}"
            yield f"`{name}` is not a key of the configuration. Received: +{name}=…. Fix: {fix}"
        elif not OmegaConf.is_missing(node, key) and isinstance(node[key], DictConfig):
            yield from _unknown_keys(node[key], prefix=f"{name}.")
