"""Run a recorded trial again: `python -m src.replay <study> <trial>`."""

import dataclasses
import os
import sys
from collections.abc import Sequence

from src.cli.options import command_parser, run_command
from src.config import Config
from src.core.imports import large_imports
from src.records.terms import Terms
from src.records.trial import TrialRecord, numbered


def main(arguments: Sequence[str] | None = None) -> None:
    """Replays the trial that the command line names, and compares the two results."""
    parser = command_parser(
        "replay",
        "Run a trial again, as it was recorded, in the study `<study> replayed`.",
        '"seed" 3 fit.epochs=2',
    )
    parser.add_argument("trial", type=int, help="its number there; see `python -m src.trials`")
    parser.add_argument("overrides", nargs="*", help="changes, such as fit.epochs=2")
    parser.add_argument("--cfg", choices=["job"], help="print the configuration, train nothing")
    chosen = parser.parse_intermixed_args(arguments)
    run_command(lambda: _replay(**vars(chosen)))


def _replay(
    experiment: str | None, study: str, trial: int, overrides: Sequence[str], cfg: str | None
) -> None:
    with large_imports():
        from src.tracking.lookup import find_study, recorded_cores

    store = find_study(experiment, study)
    trials = store.trials()
    recorded = numbered(trials, study, trial)
    runs = sum(each.number == trial for each in trials)
    if runs > 1:
        print(f"Trial {trial} has {runs} runs; this replays {recorded.run_id} ({recorded.state}).")
    config = replayed(recorded, study, overrides)
    if cfg is not None:
        from src.cli.changes import as_yaml

        print(as_yaml(config))
        return
    from src.cli.single_trial import INFEASIBLE, train_and_print

    _use_cores(recorded_cores(recorded.run_id))
    result = train_and_print(config)
    if result.infeasible:
        sys.exit(INFEASIBLE)
    line = comparison(recorded, store.trial(result.run_id), store.terms())
    print(line or "The recorded trial has no result to compare with.")


def replayed(trial: TrialRecord, study: str, overrides: Sequence[str]) -> Config:
    """Returns the configuration of a replay.

    Args:
        trial: The recorded trial.
        study: Name of its study.
        overrides: Changes, which win.

    Raises:
        UsageError: If the trial recorded no configuration, or a change cannot be used.
    """
    from src.cli.changes import changed
    from src.tracking.lookup import config_of

    config = config_of(trial, study)
    place = dataclasses.replace(
        config.study, name=f"{study} replayed", trial=trial.number, run_id=None
    )
    fit = dataclasses.replace(config.fit, keep_state=False)
    again = changed(dataclasses.replace(config, study=place, fit=fit), overrides)
    number = again.study.trial or trial.number  # a typed study=<file> has no number
    return dataclasses.replace(again, study=dataclasses.replace(again.study, trial=number))


def comparison(recorded: TrialRecord, again: TrialRecord, terms: Terms) -> str:
    """Returns both results and whether they are equal, in a line; empty where one has none."""
    key = terms.objective.metric
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
    values = f"recorded {before!r}, replayed {now!r} {terms.unit}".rstrip()
    return f"{terms.phrase[0].upper()}{terms.phrase[1:]}: {values}: {verdict}."


def _use_cores(count: int | None) -> None:
    """Limits this process to as many cores as the trial had: the order of sums depends on it."""
    if count is None or not hasattr(os, "sched_setaffinity"):
        return
    available = sorted(os.sched_getaffinity(0))
    if count > len(available):
        print(f"The trial had {count} cores, here are {len(available)}: digits may differ.")
    elif count < len(available):
        os.sched_setaffinity(0, available[:count])


if __name__ == "__main__":
    main()
