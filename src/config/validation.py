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

from src.config.backbones import BACKBONES
from src.config.identity import declarations, flatten
from src.config.objective import objective_of
from src.config.schema import (
    Config,
    DataConfig,
    Layout,
    ModelConfig,
    OptimizerConfig,
    PrunerName,
    SplitMethod,
    TargetConfig,
    optimizer_schemas,
)
from src.core.errors import UsageError

_STUDY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .-]*")  # a folder, and part of a query
_WORD = re.compile(r"\w[\w ]*")
_TAKEN_COLUMNS = {"row", "file_name", "split", "official_split", "digest", "image_index",
                  "activation_row", "prediction", "reason", "detail", "action"}  # fmt: skip
_METRIC = re.compile(r"[\w.-]+(/[\w.-]+)+")


def to_config(tree: DictConfig) -> Config:
    """Turns the composed tree into frozen dataclasses and checks every value.

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
    """Checks ranges and combinations.

    Raises:
        UsageError: With one line for each mistake.
    """
    mistakes = [
        *_check_ranges(config),
        *_check_data(config.data),
        *_check_split(config.data),
        *_check_target(config.target),
        *_check_model(config.model),
        *_check_optimizer(config.optimizer),
        *_check_fit(config),
        *_check("study.name", config.study.name, is_study_name(config.study.name),
                "consist of letters, digits, `_`, `-`, `.` and spaces, and not begin with a dot",
                "adhoc"),
        *_check_claims(config),
        *_check_objective(config),
        *_check_test_part(config),
    ]  # fmt: skip
    if mistakes:
        raise UsageError("\n".join(mistakes))


def is_study_name(name: str) -> bool:
    """Returns whether a study may have this name."""
    return _STUDY_NAME.fullmatch(name) is not None


def _check(key: str, value: Any, holds: object, must: str, suggestion: Any) -> Iterator[str]:
    if not holds:
        yield f"`{key}` must {must}. Received: {key}={_spell(value)}. Fix: {key}={suggestion}"


def _spell(value: Any) -> str:
    return "null" if value is None else str(value)


def _check_ranges(config: Config) -> Iterator[str]:
    """Checks each value against the range that is declared beside its key."""
    known = declarations(config.optimizer.name) if _has_schema(config.optimizer) else {}
    is_split = config.data.split.method is not SplitMethod.official
    for key, value in flatten(config).items():
        allowed = known[key].range if key in known else None
        if allowed is None or (key in _FRACTIONS and not is_split):
            continue
        yield from _check(key, value, allowed.contains(value), allowed.must, allowed.suggestion)


_FRACTIONS = ("data.split.val_fraction", "data.split.test_fraction")  # of no official split


def _has_schema(optimizer: OptimizerConfig) -> bool:
    return optimizer_schemas().get(optimizer.name) is type(optimizer)


def _check_data(data: DataConfig) -> Iterator[str]:
    if data.layout is not Layout.sample:
        yield from _check_root(data)
    if data.layout is Layout.sample and data.root is not None:
        yield (
            "`data=sample` draws its own faces and reads no folder. "
            f"Received: data=sample data.root={data.root}. Fix: data=labels_csv data.root=<folder>"
        )
    yield from _check("data.max_pixels", data.max_pixels, data.max_pixels >= data.image_size**2,
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
    if split.method is SplitMethod.official:
        has_split = data.layout is Layout.appa_real or data.columns.split is not None
        if data.layout is Layout.utkface or not has_split:
            yield (
                f"`data={data.layout}` has no official split. "
                f"Received: data.split.method=official data.columns.split={data.columns.split}. "
                "Fix: data.split.method=stratified, or data.columns.split=<column> of a labels_csv"
            )
        return
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


def _check_target(target: TargetConfig) -> Iterator[str]:
    for name in ("name", "unit"):
        value = getattr(target, name)
        yield from _check(f"target.{name}", value, _WORD.fullmatch(value),
                          "consist of letters, digits, `_` and blanks", "size")  # fmt: skip
    yield from _check("target.name", target.name, target.column not in _TAKEN_COLUMNS,
                      "not be the name of another column of a table of faces", "size")  # fmt: skip
    ends = target.range
    yield from _check("target.range", ends, len(ends) == 2 and ends[0] < ends[1],
                      "hold the least and the greatest label", "[0,120]")  # fmt: skip
    edges = [edge for band in target.bands for edge in band]
    are_bands = all(len(band) == 2 and band[0] <= band[1] for band in target.bands)
    yield from _check("target.bands", target.bands,
                      target.bands and are_bands and edges == sorted(edges),
                      "hold rising ranges [low, high] that do not overlap",
                      "[[0,9],[10,19]]")  # fmt: skip


def _check_model(model: ModelConfig) -> Iterator[str]:
    facts = BACKBONES[model.backbone]
    weights = model.weights
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        yield (
            f"The weights file does not exist. Received: model.weights={weights}. "
            "Fix: model.weights=imagenet, model.weights=<file>.weights.h5 or model.weights=null"
        )
    if weights == "imagenet" and not facts.has_imagenet:
        yield (
            f"`model.backbone={model.backbone}` has no ImageNet weights. Received: "
            "model.weights=imagenet. Fix: model.weights=null, or model.weights=<file>"
        )
    yield from _check("model.freeze", model.freeze, model.freeze in facts.freezable,
                      f"be one of {', '.join(facts.freezable)}", facts.freezable[-1])  # fmt: skip
    if weights is None and model.freeze != "none":
        yield (
            "Frozen random weights never learn. Received: model.weights=null "
            f"model.freeze={model.freeze}. Fix: model.freeze=none, or model.weights=imagenet"
        )


def _check_optimizer(optimizer: OptimizerConfig) -> Iterator[str]:
    (name,) = [name for name, schema in optimizer_schemas().items() if schema is type(optimizer)]
    yield from _check("optimizer.name", optimizer.name, optimizer.name == name,
                      f"be {name} here; optimizer=sgd chooses another", name)  # fmt: skip


def _check_fit(config: Config) -> Iterator[str]:
    fit, warmup = config.fit, config.schedule.warmup_epochs
    yield from _check("schedule.warmup_epochs", warmup, 0 <= warmup < max(fit.epochs, 1),
                      f"lie in [0, fit.epochs) = [0, {fit.epochs})", 0)  # fmt: skip
    fidelity = fit.fidelity
    yield from _check("fit.fidelity", fidelity, fidelity is None or 1 <= fidelity <= fit.epochs,
                      f"be null or lie in [1, fit.epochs] = [1, {fit.epochs}]", "null")  # fmt: skip
    if fit.jit_compile and fit.deterministic:
        yield (
            "Keras leaves XLA out where operations must be deterministic. Received: "
            "fit.jit_compile=true fit.deterministic=true. Fix: fit.deterministic=false"
        )


def _check_objective(config: Config) -> Iterator[str]:
    """Pruning and early stopping need a metric that is measured after each epoch."""
    objective = objective_of(config.study)
    yield from _check("study.objective", objective.metric, _METRIC.fullmatch(objective.metric),
                      "be the name of a logged outcome", "best/val_mae")  # fmt: skip
    if objective.epoch_metric is not None:
        return
    has_pruner = config.pruner.name is not PrunerName.none
    for key, value, is_used, fix in (
        ("pruner", config.pruner.name, has_pruner, "pruner=none"),
        ("fit.early_stopping_patience", config.fit.early_stopping_patience,
         config.fit.early_stopping_patience is not None, "fit.early_stopping_patience=null"),
    ):  # fmt: skip
        if is_used:
            yield (
                f"`{objective.metric}` is known at the end of a trial only, and `{key}` compares "
                f"epochs. Received: study.objective={objective.metric} {key}={value}. Fix: {fix}, "
                "or study.objective=best/val_mae"
            )


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
