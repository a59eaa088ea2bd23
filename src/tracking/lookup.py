"""Studies, experiments and recorded configurations of an existing store."""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import mlflow.artifacts
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run

from src.config import Config, complete, unflatten
from src.config.validation import is_study_name
from src.core import names
from src.core.console import stderr
from src.core.errors import MissingFileError, UsageError, nearest
from src.core.names import State
from src.records.tables import complete_trials
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.tracking.retry import patient
from src.tracking.store import find_runs, mend_stale_runs, sqlite_file
from src.tracking.study import StudyStore, is_parent, terms_of, trial_record

_NEWEST = 1000  # runs whose studies are compared with a new one


@dataclass(frozen=True)
class StudySummary:
    """Summary of a study.

    Attributes:
        name: The study's.
        experiment: Name of its experiment.
        num_trials: Number of its trials in any state.
        best: Best objective of its complete trials; infinite if there is none.
        terms: Its target and objective.
        state: Of its last sweep; without one, RUNNING, WAITING or COMPLETE by its trials.
    """

    name: str
    experiment: str
    num_trials: int
    best: float
    terms: Terms
    state: State


def studies(experiment: str | None) -> list[StudySummary]:
    """Returns all studies of an experiment, or of all experiments, by name.

    Raises:
        MissingFileError: If there is no store.
        UsageError: If the store has no such experiment.
    """
    found: list[StudySummary] = []
    for each in _experiments(experiment):
        mend_stale_runs(each.experiment_id)
        runs: dict[str, list[Run]] = defaultdict(list)
        for run in find_runs([each.experiment_id]):
            if names.STUDY in run.data.tags:
                runs[run.data.tags[names.STUDY]].append(run)
        found += [_summary(name, each.name, of_study) for name, of_study in runs.items()]
    return sorted(found, key=lambda study: (study.name, study.experiment))


def find_study(experiment: str | None, name: str) -> StudyStore:
    """Returns a study that has runs.

    Args:
        experiment: Name of its experiment; None to look in all.
        name: The study's.

    Raises:
        MissingFileError: If there is no store.
        UsageError: If the store has no such experiment or study, or several experiments have it.
    """
    homes = [
        each
        for each in _experiments(experiment)
        if is_study_name(name)
        and find_runs([each.experiment_id], f"tags.study = '{name}'", limit=1)
    ]
    if homes:
        return StudyStore(_only(homes, f'a study "{name}"').name, name)
    place = "tracking store" if experiment is None else f'experiment "{experiment}"'
    known = {study.name for study in studies(experiment)}
    raise UsageError(
        f'The {place} has no study "{name}". Received: STUDY={name}. '
        f"Fix: {_nearest(name, known, otherwise='`make sweep` runs one')}"
    )


def find_experiment(experiment: str | None) -> str:
    """Returns the id of an experiment; with None, of the only one that has runs.

    Raises:
        MissingFileError: If there is no store.
        UsageError: If the store has no such experiment, or several.
    """
    found = _experiments(experiment)
    if experiment is None:
        found = [each for each in found if find_runs([each.experiment_id], limit=1)] or found[:1]
    return str(_only(found, "runs").experiment_id)


@patient
def recorded_values(run_id: str) -> dict[str, Any] | None:
    """Returns the flat configuration that a trial started with; None if it never started.

    Keys that were introduced after the record have their neutral values.
    """
    values = _read_json(run_id, names.CONFIG_FILE)
    return None if values is None else complete(values)


def config_of(trial: TrialRecord, study: str) -> Config:
    """Returns the configuration that a trial of this study recorded.

    Raises:
        UsageError: If it recorded none, or one with other keys than the configuration has.
    """
    values = recorded_values(trial.run_id)
    if values is None:
        raise UsageError(
            f'{trial.name} of study "{study}" has no recorded configuration: it is {trial.state} '
            f"and never began to train. Received: TRIAL={trial.number}. "
            f'Fix: another trial; `make trials STUDY="{study}"` lists them'
        )
    return unflatten(values)


def announce_new_study(experiment: str, name: str) -> None:
    """Prints a line if the experiment has studies, but none of this name; with a similar name."""
    database = sqlite_file()
    if database is not None and not database.is_file():  # MLflow would create it
        return
    found = MlflowClient().get_experiment_by_name(experiment)
    if found is None or find_runs([found.experiment_id], f"tags.study = '{name}'", limit=1):
        return
    newest = find_runs([found.experiment_id], order="attributes.start_time DESC", limit=_NEWEST)
    known = {run.data.tags[names.STUDY] for run in newest if names.STUDY in run.data.tags}
    close = nearest(name, known, otherwise="")
    similar = f'; similar: "{close}"' if close else ""
    stderr.print(f'New study "{name}"{similar}.', markup=False)


@patient
def recorded_cores(run_id: str) -> int | None:
    """Returns the number of processor cores that a trial could use; None if it never started."""
    machine = _read_json(run_id, "provenance/machine.json")
    return None if machine is None else int(machine["cpu_cores"])


@patient
def _experiments(experiment: str | None) -> list[Experiment]:
    """Returns the experiment with this name, or all that are not deleted."""
    database = sqlite_file()
    if database is not None and not database.is_file():  # MLflow would create it
        raise MissingFileError(
            f"There is no tracking store yet. Received: {database.name} in "
            f"{database.resolve().parent}. Fix: `make sweep` runs trials, or go to their folder"
        )
    known = {found.name: found for found in MlflowClient().search_experiments()}
    if experiment is None:
        return list(known.values())
    if experiment not in known:
        fix = _nearest(experiment, known, otherwise="`make sweep` creates it")
        raise UsageError(
            f'The tracking store has no experiment "{experiment}". '
            f"Received: --experiment {experiment}. Fix: {fix}"
        )
    return [known[experiment]]


def _only(found: Sequence[Experiment], content: str) -> Experiment:
    if len(found) > 1:
        raise UsageError(
            f"Several experiments have {content}. Received: no --experiment, where there are "
            f"{', '.join(each.name for each in found)}. Fix: --experiment {found[0].name}"
        )
    return found[0]


def _read_json(run_id: str, path: str) -> dict[str, Any] | None:
    listed = MlflowClient().list_artifacts(run_id, path.rpartition("/")[0] or None)
    if all(file.path != path for file in listed):
        return None
    return mlflow.artifacts.load_dict(f"runs:/{run_id}/{path}")


def _summary(name: str, experiment: str, runs: Sequence[Run]) -> StudySummary:
    parents = [run.data.tags for run in runs if is_parent(run)]
    trials = [trial_record(run) for run in runs if not is_parent(run)]
    terms = terms_of(parents[-1] if parents else {}, trials)
    best = complete_trials(trials, terms.objective)[:1]
    states = {trial.state for trial in trials}
    by_trials = next((s for s in (State.RUNNING, State.WAITING) if s in states), State.COMPLETE)
    return StudySummary(
        name,
        experiment,
        len(trials),
        best[0].metrics[terms.objective.metric] if best else math.inf,
        terms,
        State(parents[-1].get(names.STATE, State.WAITING)) if parents else by_trials,
    )


def _nearest(name: str, known: Collection[str], otherwise: str) -> str:
    """Returns the most similar known name, or else all of them."""
    return nearest(name, known, f"one of {', '.join(sorted(known))}" if known else otherwise)
