"""Choice of the trial that is measured on the test part."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from src.analysis.study_data import comparable
from src.config import Config, Objective
from src.config.schema import Layout
from src.config.validation import validate
from src.core import names
from src.core.errors import UsageError
from src.core.names import State
from src.records.tables import cost_of
from src.records.trial import TrialRecord, numbered
from src.tracking.lookup import config_of


@dataclass(frozen=True)
class Choice:
    """The chosen trial among those of its study.

    Attributes:
        trial: Its record.
        study: Name of its study.
        num_trials: Number of comparable trials.
        rank: Its rank among them by the objective, from 1.
    """

    trial: TrialRecord
    study: str
    num_trials: int
    rank: int


def stored_epoch(objective: Objective) -> tuple[str, str, str]:
    """Returns the metrics of the epoch whose weights a trial stores: validation, training, gap."""
    if objective.keeps_last_epoch:
        return names.LAST_VAL_MAE, names.LAST_TRAIN_MAE, names.LAST_GAP
    return names.BEST_VAL_MAE, names.BEST_TRAIN_MAE, names.BEST_GAP


def choose(
    trials: Sequence[TrialRecord], study: str, number: int | None, objective: Objective
) -> Choice:
    """Returns the complete trial with this number, or the best of those that are comparable.

    Of several complete trials with one number the last counts.

    Raises:
        UsageError: If there is none.
    """
    candidates = comparable(trials, objective)
    costs = [cost_of(trial, objective) for trial in candidates]
    if number is not None:
        trial = numbered(trials, study, number)
        if trial.state is not State.COMPLETE:
            raise UsageError(
                f"Only a complete trial can be tested. Received: TRIAL={number}, which is "
                f'{trial.state}. Fix: another trial; `make trials STUDY="{study}"` lists them'
            )
    elif candidates:
        trial = candidates[costs.index(min(costs))]
    else:
        raise UsageError(
            f'No trial of study "{study}" is complete. Received: STUDY={study} with {len(trials)} '
            "trials. Fix: type its command again, which runs what is missing"
        )
    rank = 1 + sum(cost < cost_of(trial, objective) for cost in costs)
    return Choice(trial, study, len(candidates), rank)


def configuration(choice: Choice, root: str | None) -> Config:
    """Returns the recorded configuration of the chosen trial.

    Args:
        choice: The trial.
        root: Folder of its faces, if they were moved.

    Raises:
        UsageError: If it recorded none, or the folder is not there.
    """
    config = config_of(choice.trial, choice.study)
    if config.data.layout is Layout.sample:
        return config
    folder = root or config.data.root
    if folder is None or not Path(folder).is_dir():
        raise UsageError(
            f"The folder of the faces is not there. Received: data.root={folder}. "
            f'Fix: make champion STUDY="{choice.study}" ROOT=<where it is now>'
        )
    config = replace(config, data=replace(config.data, root=folder))
    validate(config)
    return config


def without_model(choice: Choice) -> UsageError:
    """Returns the error for a trial whose model is not stored."""
    trial, study = choice.trial, choice.study
    keep = trial.params.get("tracking.keep_model", "unknown")
    again = "type its command again with tracking.keep_model=all fit.resume=false"
    if trial.number is not None:
        again = (
            f'python -m src.replay "{study}" {trial.number} tracking.keep_model=all '
            f'study="{study}", and then make champion STUDY="{study}" TRIAL={trial.number}'
        )
    return UsageError(
        f"The model of {trial.name} was not kept, or its files are gone. "
        f"Received: tracking.keep_model={keep}. Fix: {again}"
    )
