"""Measure a study's chosen trial on the test part, once: `python -m src.champion <study>`."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.errors import HydraException
from rich.table import Table

from src.cli.command_line import compose_config
from src.cli.options import add_experiment_option, study_name
from src.config import Config
from src.core.console import show, stderr
from src.core.errors import ExplainedError, UsageError
from src.core.imports import large_imports
from src.replay import replay_overrides

if TYPE_CHECKING:
    from src.records.trial import TrialRecord
    from src.tracking.registry import Version
    from src.tracking.study import StudyStore
    from src.training.final_test import FinalTest

_SAMPLE = "sample"  # the layout that needs no folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Test and register the trial that the command line names, or the study's best."""
    parser = argparse.ArgumentParser(
        prog="python -m src.champion",
        description="Measure a study's best trial on the untouched test part, and register its "
        "model with a model card. A test part that was looked at is refused.",
        epilog='example: python -m src.champion "small"',
    )
    parser.add_argument("study", type=study_name, help="its name; `study=<name>` will do")
    parser.add_argument("--trial", type=int, metavar="N", help="another trial than the best")
    parser.add_argument("--again", action="store_true", help="look again; the model card tells it")
    parser.add_argument("--root", metavar="FOLDER", help="of the faces, where they were moved")
    add_experiment_option(parser)
    chosen = parser.parse_args(arguments)
    try:
        _crown(chosen.experiment, chosen.study, chosen.trial, chosen.again, chosen.root)
    except ExplainedError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("Interrupted.")
        sys.exit(130)


def choose(trials: "Sequence[TrialRecord]", study: str, number: int | None) -> "TrialRecord":
    """The complete trial with this number, of several the last one; None: the study's best.

    The best of those whose errors can be compared, see `comparable`.

    Raises:
        UsageError: If there is none.
    """
    from src.analysis.study_data import comparable
    from src.records.trial import numbered
    from src.tracking import State

    if number is not None:
        wanted = numbered(trials, study, number)
        complete = [t for t in trials if t.state is State.COMPLETE and t.number == number]
        if not complete:
            raise UsageError(
                f"Only a complete trial can be tested. Received: TRIAL={number}, which is "
                f'{wanted.state}. Fix: another trial; `make trials STUDY="{study}"` lists them'
            )
        return complete[-1]
    candidates = comparable(trials)
    if not candidates:
        raise UsageError(
            f'No trial of study "{study}" is complete. Received: STUDY={study} with {len(trials)} '
            "trials. Fix: type its command again, which goes on with what is missing"
        )
    return min(candidates, key=_val_mae)


def _crown(experiment: str, study: str, number: int | None, again: bool, root: str | None) -> None:
    """Check all that can be checked, look once, and keep what was seen."""
    with large_imports():
        from src.tracking.lookup import find_study
        from src.tracking.registry import kept_model, load_model, register
        from src.tracking.run import Run
        from src.tracking.study import open_study
        from src.tracking.test_access import (
            evaluations,
            num_evaluations_elsewhere,
            record_evaluation,
            refuse_another_evaluation,
        )

    find_study(experiment, study)  # or explains what there is; creates nothing
    with open_study(experiment, study) as store:  # else two commands could both look first
        trials = store.trials()
        trial = choose(trials, study, number)
        refuse_another_evaluation(study, evaluations(store.experiment_id, study), again)
        model_id = kept_model(store.experiment_id, trial.run_id)
        if model_id is None:
            raise UsageError(_no_model(trial, study))
        config = _recorded(trial, study, root)
        _tell_of_the_rest(store, trials)

        with large_imports():
            from src.model import set_up
            from src.training import final_test
            from src.training.model_card import Choice, model_card
        batch_size = config.fit.eval_batch_size
        dataset = final_test.prepare_test(config, trial)
        set_up(config.seed, config.fit.precision, config.fit.deterministic)
        regressor = load_model(model_id)
        final_test.refuse_another_model(regressor, dataset, trial, batch_size)

        elsewhere = num_evaluations_elsewhere(store.experiment_id, study, trial.data_digest)
        record_evaluation(store.experiment_id, study, trial.run_id)
        test = final_test.take_test(regressor, dataset, trial.metrics["best/train_mae"], batch_size)
        choice = Choice(
            study, *_place(trial, trials), evaluations(store.experiment_id, study), elsewhere
        )
        card = model_card(config, trial, test, choice)
        final_test.log_test(Run(trial.run_id, store.experiment_id, is_new=False), test, card)
        tags = {"trial": trial.name, "test_mae": f"{test.metrics['test/mae']:.4f}"}
        version = register(model_id, study, card, tags, config.target)
    _print(trial, test, len(choice.looks), version, config.data.image_size)


def _val_mae(trial: "TrialRecord") -> float:
    return trial.metrics.get("best/val_mae", math.inf)


def _place(trial: "TrialRecord", trials: "Sequence[TrialRecord]") -> tuple[int, int]:
    """Number of trials that it can be compared with, and its rank among them."""
    from src.analysis.study_data import comparable

    errors = [_val_mae(other) for other in comparable(trials)]
    return len(errors), 1 + sum(error < _val_mae(trial) for error in errors)


def _recorded(trial: "TrialRecord", study: str, root: str | None) -> Config:
    """The configuration that the trial had, but for the folder of its faces."""
    from src.tracking.lookup import recorded_values

    values = recorded_values(trial.run_id)
    if values is None:
        raise UsageError(
            f"{trial.name} has no recorded configuration. Received: STUDY={study}. "
            f'Fix: another trial; `make trials STUDY="{study}"` lists them'
        )
    if root is not None and values["data.layout"] != _SAMPLE:
        values["data.root"] = root
    folder = values["data.root"]
    if folder is not None and not Path(folder).is_dir():
        raise UsageError(
            f"The folder of the faces is not there. Received: data.root={folder}. "
            f'Fix: make champion STUDY="{study}" ROOT=<where it is now>'
        )
    overrides = replay_overrides(values, study, trial.number or 0, typed=[])
    try:
        return compose_config(overrides)
    except HydraException as error:
        raise UsageError(
            f"The record is not one of today's configuration: {str(error).splitlines()[0]}. "
            f"Received: {trial.name}. Fix: check out the commit that ran it (the run's page "
            "shows it)"
        ) from error


def _no_model(trial: "TrialRecord", study: str) -> str:
    keep = trial.params.get("tracking.keep_model", "unknown")
    again = (
        f'python -m src.replay "{study}" {trial.number} tracking.keep_model=all '
        f'study.name="{study}", and then make champion STUDY="{study}" TRIAL={trial.number}'
        if trial.number is not None
        else "type its command again with tracking.keep_model=all fit.resume=false"
    )
    return (
        f"The model of {trial.name} was not kept, or its files are gone. "
        f"Received: tracking.keep_model={keep}. Fix: {again}"
    )


def _tell_of_the_rest(store: "StudyStore", trials: "Sequence[TrialRecord]") -> None:
    """A better one may be among those that have not ended; it could not be tested honestly."""
    from src.tracking import State

    open_ = sum(trial.state in (State.WAITING, State.RUNNING) for trial in trials)
    if open_:
        stderr.print(f'{open_} of {len(trials)} trials of study "{store.name}" have not ended.')


def _print(
    trial: "TrialRecord", test: "FinalTest", num_looks: int, version: "Version", size: int
) -> None:
    known, new = trial.metrics, test.metrics
    grid = Table(title=trial.name, title_justify="left", show_edge=False, pad_edge=False)
    for name in ("faces", "MAE, years", "95 %"):
        grid.add_column(name, justify="left" if name == "faces" else "right", no_wrap=True)
    for name, metrics, key in (("test", new, "test/mae"), ("validation", known, "best/val_mae")):
        low, high = (metrics.get(f"{key}_{end}", math.nan) for end in ("low", "high"))
        grid.add_row(name, f"{metrics[key]:.2f}", f"[{low:.2f}, {high:.2f}]")
    grid.add_row("training", f"{known['best/train_mae']:.2f}", "")
    grid.add_row("test, guessing the median", f"{new['test/median_predictor_mae']:.2f}", "")
    show(grid)
    print(
        f"Test-set evaluation {num_looks}. Registered as version {version.number}, with the "
        f"aliases champion and {version.alias}"
        + (f"; champion was {version.replaced}" if version.replaced else "")
        + f".\n`mlflow ui` shows its model card at {version.page()}\n\n"
        f"    import mlflow\n"
        f'    model = mlflow.pyfunc.load_model("models:/{version.model}@champion")\n'
        f"    ages = model.predict(pictures)  # uint8 (n, {size}, {size}, 3), RGB\n"
    )


if __name__ == "__main__":
    main()
