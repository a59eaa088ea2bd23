"""Run a trial again from its recorded configuration: `python -m src.replay <study> <trial>`."""

import argparse
import dataclasses
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Quote, QuotedString

from src import train
from src.cli.options import add_experiment_option
from src.config import Config
from src.config.schema import OptimizerConfig, optimizer_schemas
from src.core.errors import ExplainedError, UsageError

if TYPE_CHECKING:
    from src.records.trial import TrialRecord
    from src.tracking.study import StudyStore

_GROUPS = {
    field.name for field in dataclasses.fields(Config) if dataclasses.is_dataclass(field.type)
}
_OPTIMIZERS: Mapping[str, type[OptimizerConfig]] = optimizer_schemas()
_WHOLE = {"trial", "scale", "sweep"}  # files of `conf/` that fill several groups


def main() -> None:
    """Replay the trial that the command line names, and compare the two results."""
    parser = argparse.ArgumentParser(
        prog="python -m src.replay",
        description="Run a trial again, as it was recorded, in the study `<study> replayed`.",
        epilog='example: python -m src.replay "seed" 3 fit.epochs=2',
    )
    parser.add_argument("study", help="name of the trial's study")
    parser.add_argument("trial", type=int, help="its number there; see `python -m src.trials`")
    parser.add_argument("overrides", nargs=argparse.REMAINDER, help="changes, as for src.train")
    add_experiment_option(parser)
    chosen = parser.parse_args()
    try:
        store, recorded = _find(chosen.experiment, chosen.study, chosen.trial)
        arguments = _arguments(recorded, chosen.study, chosen.trial, chosen.overrides)
    except ExplainedError as error:
        sys.exit(f"error: {error}")
    sys.argv[1:] = arguments
    _use_as_many_cores(recorded.run_id)
    train.main()
    _print_comparison(chosen.experiment, store, recorded)


def replay_overrides(
    recorded: Mapping[str, Any], study: str, number: int, typed: Sequence[str]
) -> list[str]:
    """Hydra's overrides that compose a recorded configuration again.

    A group that was typed whole, such as `augmentation=none`, takes the place of its recorded
    values; everything else that was typed comes last, and so wins.

    Args:
        recorded: Value by dotted key, see `src.config.flatten`.
        study: Name of the study that the trial belongs to.
        number: Of the trial in that study.
        typed: Overrides and flags from the command line.

    Raises:
        UsageError: If a recorded key or optimizer is unknown today, or a file was typed whose
            values the recorded ones would cover.
    """
    names = _typed_names(typed)
    covered = sorted(names & _WHOLE)
    if covered:
        raise UsageError(
            f"A replay has all its values from the record, and would cover those of "
            f"`{covered[0]}`. Received: {' '.join(typed)}. "
            "Fix: type the keys that shall change, such as fit.epochs=2"
        )
    replaced = names & _GROUPS
    kept = {
        key: value
        for key, value in recorded.items()
        if key.split(".")[0] not in {"study", *replaced}
    }
    unknown = sorted(set(kept) - set(_schema_keys(kept.get("optimizer.name"))))
    if unknown:
        raise UsageError(
            f"The record has keys that the configuration no longer knows. "
            f"Received: {', '.join(f'{key}={kept[key]}' for key in unknown)}. "
            "Fix: check out the commit that ran it (the run's page shows it)"
            + _or_whole_group(unknown)
        )
    first = next((i for i, word in enumerate(typed) if _is_override(word)), len(typed))
    return [
        *typed[:first],  # flags, such as -m: Hydra wants its overrides side by side
        *_group_choices(kept),
        *(f"{key}={_spell(value)}" for key, value in kept.items()),
        *([] if "study" in replaced else [f"study.name={_spell(f'{study} replayed')}"]),
        f"study.trial={number}",
        "study.run_id=null",
        "fit.keep_state=false",
        *typed[first:],
    ]


def not_recorded(recorded: Mapping[str, Any], typed: Sequence[str]) -> list[str]:
    """Keys that came after the record was written, and that were not typed either."""
    told = {"study", *recorded, *_typed_names(typed)}
    optimizer = None if "optimizer" in told else recorded.get("optimizer.name")
    return [
        key for key in _schema_keys(optimizer) if key not in told and key.split(".")[0] not in told
    ]


def comparison(recorded: "TrialRecord", again: "TrialRecord") -> str:
    """One line: both results, and whether they are the same; empty where one has none."""
    key = "best/val_mae"
    if key not in recorded.metrics or key not in again.metrics:
        return ""
    before, now = recorded.metrics[key], again.metrics[key]
    if before == now:
        verdict = "equal, bit for bit"
    elif recorded.configuration_hash != again.configuration_hash:
        verdict = "not equal; neither are the configurations"
    elif recorded.data_digest != again.data_digest:
        verdict = "not equal; neither are the faces"
    elif recorded.state is not again.state:
        verdict = f"not equal; the first is {recorded.state}, the second {again.state}"
    else:
        verdict = "not equal; `provenance/` of both runs shows code, packages and machines"
    return f"Best validation MAE: recorded {before!r}, replayed {now!r} years: {verdict}."


def _find(experiment: str, study: str, number: int) -> "tuple[StudyStore, TrialRecord]":
    """The trial; of several runs with one number the last complete one, else the last."""
    from src.records.trial import numbered
    from src.tracking import State
    from src.tracking.lookup import find_study

    store = find_study(experiment, study)
    trials = store.trials()
    newest_first = trials[::-1]
    complete_first = sorted(newest_first, key=lambda trial: trial.state is not State.COMPLETE)
    found = numbered(complete_first, study, number)
    runs = sum(trial.number == number for trial in trials)
    if runs > 1:
        print(f"Trial {number} has {runs} runs; this replays {found.run_id} ({found.state}).")
    return store, found


def _arguments(trial: "TrialRecord", study: str, number: int, typed: Sequence[str]) -> list[str]:
    from src.tracking.lookup import recorded_values

    recorded = recorded_values(trial.run_id)
    if recorded is None:
        raise UsageError(
            f'Trial {number} of study "{study}" has no recorded configuration: it is '
            f"{trial.state} and never began to train. Received: TRIAL={number}. "
            f'Fix: another trial; `make trials STUDY="{study}"` lists them'
        )
    overrides = replay_overrides(recorded, study, number, typed)
    missing = not_recorded(recorded, typed)
    if missing:
        print(f"Not in the record, so at today's values: {', '.join(missing)}.")
    return overrides


def _use_as_many_cores(run_id: str) -> None:
    """Leave this process as many cores as the trial had: sums depend on how they are shared out."""
    from src.tracking.lookup import recorded_cores

    cores = recorded_cores(run_id)
    if cores is None or not hasattr(os, "sched_setaffinity"):
        return
    available = sorted(os.sched_getaffinity(0))
    if cores > len(available):
        print(f"The trial had {cores} cores, here are {len(available)}: digits may differ.")
    elif cores < len(available):
        os.sched_setaffinity(0, available[:cores])


def _print_comparison(experiment: str, store: "StudyStore", recorded: "TrialRecord") -> None:
    from src.tracking.lookup import run_of_this_process

    run_id = run_of_this_process(experiment)
    if run_id is not None:  # `--cfg job` trains nothing
        line = comparison(recorded, store.trial(run_id))
        print(line or "The recorded trial came to no result that this one could be compared with.")


def _typed_names(typed: Sequence[str]) -> set[str]:
    """Keys and groups of the overrides among what was typed."""
    return {word.partition("=")[0].lstrip("+~") for word in typed if _is_override(word)}


def _is_override(word: str) -> bool:
    return word.startswith("~") or ("=" in word and not word.startswith("-"))


def _group_choices(kept: Mapping[str, Any]) -> Iterator[str]:
    """Files whose schema or defaults go with the recorded values."""
    if "optimizer.name" in kept:
        yield f"optimizer={kept['optimizer.name'].lower()}"
    if "data.layout" in kept:
        yield f"data={kept['data.layout']}"


def _schema_keys(optimizer: str | None) -> list[str]:
    """Every dotted key of today's configuration; None: with what all optimizers share."""
    if optimizer is not None and optimizer not in _OPTIMIZERS:
        raise UsageError(
            f"The recorded optimizer is not known. Received: optimizer.name={optimizer}. "
            f"Fix: optimizer=<one of {', '.join(name.lower() for name in _OPTIMIZERS)}>"
        )
    schema = OptimizerConfig if optimizer is None else _OPTIMIZERS[optimizer]
    keys = [key for key in _keys(Config) if not key.startswith("optimizer.")]
    return [*keys, *_keys(schema, "optimizer.")]


def _keys(schema: type, prefix: str = "") -> Iterator[str]:
    for field in dataclasses.fields(schema):
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            yield from _keys(field.type, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def _or_whole_group(keys: Sequence[str]) -> str:
    groups = sorted({key.split(".")[0] for key in keys} & _GROUPS)
    return f", or type {' '.join(f'{group}=<name>' for group in groups)}" if groups else ""


def _spell(value: Any) -> str:
    """A value in Hydra's grammar, from which it comes back as it was."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_spell, value))}]"
    if isinstance(value, str):
        plain = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)  # else OmegaConf would look it up
        return QuotedString(plain, Quote.single).with_quotes()
    return repr(value)


if __name__ == "__main__":
    main()
