"""From Hydra's composed tree to a checked, frozen `Config`."""

import dataclasses
import json
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
from src.config.schema import Config, Layout, SplitMethod, TargetConfig, optimizer_name
from src.core.errors import UsageError, nearest

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
        *_check_more_ranges(config),
        *_check_target(config.target),
        *_check("study.name", config.study.name, is_study_name(config.study.name),
                "consist of letters, digits, `_`, `-`, `.` and spaces, and not begin with a dot",
                "adhoc"),
        *_check_claims(config),
        *_check_combinations(config),
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
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _check_ranges(config: Config) -> Iterator[str]:
    """Checks each value against the range that is declared beside its key."""
    known = declarations(optimizer_name(type(config.optimizer)))
    for key, value in flatten(config).items():
        allowed = known[key].range
        if allowed is not None:
            yield from _check(key, value, allowed.contains(value), allowed.must, allowed.suggestion)


def _check_claims(config: Config) -> Iterator[str]:
    known = flatten(config)
    for place, claim in enumerate(config.study.claims):
        key = f"study.claims[{place}]"
        yield from _check(f"{key}.says", claim.says, claim.says.strip(), "be a sentence",
                          '"Dropout lowers the error."')  # fmt: skip
        yield from _check(f"{key}.at_least", claim.at_least, math.isfinite(claim.at_least),
                          "be a number", 0.0)  # fmt: skip
        if claim.raising is not None and claim.raising not in known:
            close = nearest(claim.raising, known, "optimizer.learning_rate")
            yield from _check(f"{key}.raising", claim.raising, False,
                              "be null or a key of the configuration", close)  # fmt: skip


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


def _check_more_ranges(config: Config) -> Iterator[str]:
    """Checks values whose range depends on another value."""
    data, fit, warmup = config.data, config.fit, config.schedule.warmup_epochs
    if data.layout is not Layout.sample:
        exists = data.root is not None and Path(data.root).is_dir()
        yield from _check("data.root", data.root, exists, f"be a folder for data={data.layout}",
                          "<folder>, or data=sample for faces that the project draws")  # fmt: skip
    yield from _check("data.max_pixels", data.max_pixels, data.max_pixels >= data.image_size**2,
                      "be >= data.image_size squared", 50_000_000)  # fmt: skip
    layers = BACKBONES[config.model.backbone].freezable
    yield from _check("model.freeze", config.model.freeze, config.model.freeze in layers,
                      f"be one of {', '.join(layers)}", layers[-1])  # fmt: skip
    optimizer = optimizer_name(type(config.optimizer))
    yield from _check("optimizer.name", config.optimizer.name, config.optimizer.name == optimizer,
                      f"be {optimizer} here; optimizer=sgd chooses another", optimizer)  # fmt: skip
    yield from _check("schedule.warmup_epochs", warmup, 0 <= warmup < max(fit.epochs, 1),
                      f"lie in [0, fit.epochs) = [0, {fit.epochs})", 0)  # fmt: skip
    is_possible = fit.fidelity is None or 1 <= fit.fidelity <= fit.epochs
    yield from _check("fit.fidelity", fit.fidelity, is_possible,
                      f"be null or lie in [1, fit.epochs] = [1, {fit.epochs}]", "null")  # fmt: skip
    metric = config.study.objective
    yield from _check("study.objective", metric, _METRIC.fullmatch(metric),
                      "be the name of a logged outcome", "best/val_mae")  # fmt: skip


def _check_combinations(config: Config) -> Iterator[str]:
    """Checks values that exclude each other."""
    values = flatten(config)

    def mistake(fact: str, keys: str, fix: str) -> str:
        received = " ".join(f"{key}={_spell(values[key])}" for key in keys.split())
        return f"{fact}. Received: {received}. Fix: {fix}"

    data, split, model, fit = config.data, config.data.split, config.model, config.fit
    if data.layout is Layout.sample and data.root is not None:
        fact = "`data=sample` draws its own faces and reads no folder"
        yield mistake(fact, "data.layout data.root", "data=labels_csv data.root=<folder>")
    if split.method is SplitMethod.official:
        has_column = data.layout is not Layout.utkface and data.columns.split is not None
        if data.layout is not Layout.appa_real and not has_column:
            fact = f"`data={data.layout}` has no official split"
            fix = "data.split.method=stratified, or data.columns.split=<column> of a labels_csv"
            yield mistake(fact, "data.split.method data.columns.split", fix)
    elif split.val_fraction == 0 or split.val_fraction + split.test_fraction >= 1:
        fact = "Validation must get some faces and training the rest"
        keys = "data.split.val_fraction data.split.test_fraction"
        yield mistake(fact, keys, "data.split.val_fraction=0.2")
    elif split.method is SplitMethod.notebook and split.test_fraction > 0:
        fact = "The notebook split has no test part"
        yield mistake(fact, "data.split.test_fraction", "data.split.test_fraction=0")
    elif fit.evaluate_test and split.test_fraction == 0:
        fix = "data.split.test_fraction=0.2, or fit.evaluate_test=false"
        yield mistake(
            "This split has no test part", "fit.evaluate_test data.split.test_fraction", fix
        )
    if model.weights not in (None, "imagenet") and not Path(model.weights).is_file():
        fix = "model.weights=imagenet, model.weights=<file>.weights.h5 or model.weights=null"
        yield mistake("The weights file does not exist", "model.weights", fix)
    if model.weights == "imagenet" and not BACKBONES[model.backbone].has_imagenet:
        fact = f"`model.backbone={model.backbone}` has no ImageNet weights"
        yield mistake(fact, "model.weights", "model.weights=null, or model.weights=<file>")
    if model.weights is None and model.freeze != "none":
        fix = "model.freeze=none, or model.weights=imagenet"
        yield mistake("Frozen random weights never learn", "model.weights model.freeze", fix)
    if fit.jit_compile and fit.deterministic:
        fact = "Keras leaves XLA out where operations must be deterministic"
        yield mistake(fact, "fit.jit_compile fit.deterministic", "fit.deterministic=false")
    if objective_of(config.study).epoch_metric is None:
        fact = f"`{config.study.objective}` is known at the end of a trial only, not of an epoch"
        for key, unused in (("pruner.name", "none"), ("fit.early_stopping_patience", "null")):
            if _spell(values[key]) != unused:
                fix = f"{key.removesuffix('.name')}={unused}, or study.objective=best/val_mae"
                yield mistake(fact, f"study.objective {key}", fix)


def _unknown_keys(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Keys that no schema class has: Hydra lets `+group.typo=1` through."""
    schema = OmegaConf.get_type(node)
    if not dataclasses.is_dataclass(schema):
        return
    known = [field.name for field in dataclasses.fields(schema)]
    for key in node:
        name = f"{prefix}{key!s}"
        if key not in known:
            fix = prefix + nearest(str(key), known, f"<one of {', '.join(known)}>")
            yield f"`{name}` is not a key of the configuration. Received: +{name}=…. Fix: {fix}"
        elif not OmegaConf.is_missing(node, key) and isinstance(node[key], DictConfig):
            yield from _unknown_keys(node[key], prefix=f"{name}.")
