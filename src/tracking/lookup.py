"""What the store holds, for those who only read: nothing is created that is not there."""

import difflib
import json
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient

from src.config import Config, unflatten
from src.config.validation import is_study_name
from src.core import names
from src.core.console import stderr
from src.core.errors import MissingFileError, UsageError
from src.core.names import State
from src.records.trial import TrialRecord
from src.tracking.retry import patient
from src.tracking.store import mend_stale_runs, process_tags, search_all
from src.tracking.study import StudyStore

_NEWEST = 100  # runs


@dataclass(frozen=True)
class StudySummary:
    """A study in a line.

    Attributes:
        name: The study's.
        num_trials: All its trials, in whatever state.
        best_val_mae: Lowest of its complete trials, years; infinite where there is none.
        state: Of its last sweep; RUNNING, WAITING or COMPLETE by its trials where it had none.
    """

    name: str
    num_trials: int
    best_val_mae: float
    state: State


def studies(experiment: str) -> list[StudySummary]:
    """All studies of an experiment, by name.

    Raises:
        FileNotFoundError: If there is no store.
        ValueError: If the store has no such experiment.
    """
    experiment_id = find_experiment(experiment)
    mend_stale_runs(experiment_id)
    runs: dict[str, list[MlflowRun]] = defaultdict(list)
    for run in search_all(experiment_id, ""):
        if "study" in run.data.tags:
            runs[run.data.tags["study"]].append(run)
    return [_summary(name, runs[name]) for name in sorted(runs)]


def find_study(experiment: str, name: str) -> StudyStore:
    """A study that has runs.

    Raises:
        FileNotFoundError: If there is no store.
        ValueError: If the store has no such experiment or study.
    """
    experiment_id = find_experiment(experiment)
    if is_study_name(name) and has_study(experiment_id, name):
        return StudyStore(experiment, name)
    known = [study.name for study in studies(experiment)]  # reads every run
    raise UsageError(
        f'The experiment "{experiment}" has no study "{name}". Received: STUDY={name}. '
        f"Fix: {_nearest(name, known, otherwise='`make sweep` runs one')}"
    )


@patient
def has_study(experiment_id: str, name: str) -> bool:
    """Whether there is a run of this study, whose name has no quotes."""
    return bool(
        MlflowClient().search_runs([experiment_id], f"tags.study = '{name}'", max_results=1)
    )


@patient
def announce_new_study(experiment: str, name: str) -> None:
    """Prints a line if a store with studies has none of this name, with a similar name if any.

    Of studies without a sweep only those of the newest runs are compared.
    """
    if not _has_store():
        return
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    if found is None or has_study(found.experiment_id, name):
        return
    runs = [
        *client.search_runs([found.experiment_id], f"tags.{names.KIND} = '{names.STUDY_KIND}'"),
        *client.search_runs([found.experiment_id], max_results=_NEWEST),
    ]
    known = {run.data.tags[names.STUDY] for run in runs if names.STUDY in run.data.tags}
    close = difflib.get_close_matches(name, sorted(known), n=1)
    similar = f'; similar: "{close[0]}"' if close else ""
    stderr.print(f'New study "{name}"{similar}.', markup=False)


def _has_store() -> bool:
    """Returns whether there is a tracking store; asking MLflow would create one."""
    uri = mlflow.get_tracking_uri()
    return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).is_file()


@patient
def find_experiment(experiment: str) -> str:
    """The id of an experiment that exists.

    Raises:
        FileNotFoundError: If there is no store.
        ValueError: If the store has no such experiment.
    """
    if not _has_store():
        database = Path(mlflow.get_tracking_uri().removeprefix("sqlite:///"))
        raise MissingFileError(
            f"There is no tracking store yet. Received: {database.name} in "
            f"{database.resolve().parent}. Fix: `make sweep` runs trials, or go to their folder"
        )
    client = MlflowClient()
    known = {found.name: found.experiment_id for found in client.search_experiments()}
    if experiment not in known:
        fix = _nearest(experiment, known, otherwise="`make sweep` creates it")
        raise UsageError(
            f'The tracking store has no experiment "{experiment}". '
            f"Received: --experiment {experiment}. Fix: {fix}"
        )
    return str(known[experiment])


@patient
def recorded_config(run_id: str) -> dict[str, Any] | None:
    """The flat configuration that a trial started with; None if it never did.

    See `src.config.flatten`.
    """
    return _read_json(run_id, "", "config.json")


def config_of(trial: TrialRecord, study: str) -> Config:
    """Returns the configuration that a trial of this study recorded.

    Raises:
        UsageError: If it recorded none, or today's configuration lacks one of its keys.
    """
    values = recorded_config(trial.run_id)
    if values is None:
        raise UsageError(
            f'{trial.name} of study "{study}" has no recorded configuration: it is {trial.state} '
            f"and never began to train. Received: TRIAL={trial.number}. "
            f'Fix: another trial; `make trials STUDY="{study}"` lists them'
        )
    return unflatten(values)


@patient
def recorded_cores(run_id: str) -> int | None:
    """How many processor cores a trial could use; None if it never started."""
    machine = _read_json(run_id, "provenance", "machine.json")
    return None if machine is None else int(machine["cpu_cores"])


def _read_json(run_id: str, folder: str, name: str) -> dict[str, Any] | None:
    client = MlflowClient()
    path = f"{folder}/{name}".lstrip("/")
    if all(file.path != path for file in client.list_artifacts(run_id, folder or None)):
        return None
    with tempfile.TemporaryDirectory() as copies:
        content: dict[str, Any] = json.loads(
            Path(client.download_artifacts(run_id, path, copies)).read_text()
        )
    return content


@patient
def run_of_this_process(experiment: str) -> str | None:
    """Id of the trial that this process has ended last, or None."""
    mine = " and ".join(f"tags.`{key}` = '{value}'" for key, value in process_tags().items())
    found = MlflowClient().search_runs(
        [find_experiment(experiment)], mine, order_by=["attributes.end_time DESC"]
    )
    trials = [run for run in found if not _is_parent(run)]
    return str(trials[0].info.run_id) if trials else None


def _summary(name: str, runs: Sequence[MlflowRun]) -> StudySummary:
    parents = [run for run in runs if _is_parent(run)]
    trials = [run for run in runs if not _is_parent(run)]
    complete = [trial for trial in trials if _state(trial) is State.COMPLETE]
    return StudySummary(
        name,
        len(trials),
        min((run.data.metrics.get("best/val_mae", math.inf) for run in complete), default=math.inf),
        _state(parents[-1]) if parents else _state_of_all(trials),
    )


def _state_of_all(trials: Iterable[MlflowRun]) -> State:
    states = {_state(trial) for trial in trials}
    return next((s for s in (State.RUNNING, State.WAITING) if s in states), State.COMPLETE)


def _is_parent(run: MlflowRun) -> bool:
    return run.data.tags.get("kind") == "study"


def _state(run: MlflowRun) -> State:
    return State(run.data.tags.get("state", State.WAITING))


def _nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """What was probably meant, else what there is."""
    all_names = sorted(known)
    close = difflib.get_close_matches(name, all_names, n=1)
    return close[0] if close else f"one of {', '.join(all_names)}" if all_names else otherwise
