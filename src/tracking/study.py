"""A study in the store: one parent run, and a child run for each of its trials."""

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from src.config import Objective, TargetConfig, complete
from src.config.study_schema import Direction
from src.config.validation import is_study_name
from src.core import names
from src.core.console import stderr
from src.core.errors import EnvironmentFaultError, UsageError
from src.core.names import State
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.tracking.retry import patient
from src.tracking.run import Run
from src.tracking.store import find_runs, is_alive, mend_stale_runs, open_store, process_tags

_LOCKS = Path("mlruns/.studies")


class StudyStore:
    """Reads and writes one study's parent and children; every call retries on a busy store.

    Attributes:
        experiment: Name of its experiment.
        experiment_id: MLflow's.
        name: The study's.
        parent_id: The parent's run id; empty until `open_parent`.
    """

    def __init__(self, experiment: str, name: str) -> None:
        self.experiment = experiment
        self.experiment_id = open_store(experiment)
        self.name = name
        self.parent_id = ""
        self._client = MlflowClient()
        mend_stale_runs(self.experiment_id)

    def parent_tags(self) -> dict[str, str]:
        """Returns the tags of the parent run; empty if there is none yet."""
        return next((dict(run.data.tags) for run in self._parents()), {})

    def find_parent(self) -> str:
        """Returns the id of the parent run; empty if there is none yet."""
        return next((str(run.info.run_id) for run in self._parents()), "")

    def terms(self) -> Terms:
        """Returns the study's target and objective.

        They are tags of the parent run; without them, parameters of the first started trial.
        """
        return terms_of(self.parent_tags(), self.trials())

    def refuse_other_terms(self, terms: Terms) -> None:
        """Compares the target and objective of a trial with the study's.

        Raises:
            UsageError: If the study has trials with another objective, direction or target.
        """
        if not self.trials():
            return
        recorded = _fixed(self.terms())
        for key, value in _fixed(terms).items():
            if value != recorded[key]:
                raise UsageError(
                    f'Study "{self.name}" has {key}={recorded[key]}, which is fixed at its first '
                    f"launch. Received: {key}={value}. Fix: study.name=<a new name>"
                )

    @patient
    def open_parent(self, tags: Mapping[str, str]) -> None:
        """Creates the parent run, or reopens it."""
        found = self._parents()
        own = {**tags, **process_tags(), names.STATE: State.RUNNING}
        if found:
            self.parent_id = found[0].info.run_id
            self.set_tags(self.parent_id, own)
            self._client.update_run(self.parent_id, status="RUNNING")
            return
        all_tags = {names.STUDY: self.name, names.KIND: names.STUDY_KIND, **own}
        created = self._client.create_run(self.experiment_id, run_name=self.name, tags=all_tags)
        self.parent_id = created.info.run_id

    def close_parent(self, status: str, state: State) -> None:
        """Ends the parent run, if it was opened; `status` is MLflow's."""
        if self.parent_id:
            self._run(self.parent_id).end(status, state)

    def trials(self) -> list[TrialRecord]:
        """Returns all trials of the study, by number; those without a number come last."""
        records = [trial_record(run) for run in self._search() if not is_parent(run)]
        return sorted(records, key=lambda trial: (trial.number is None, trial.number))

    @patient
    def trial(self, run_id: str) -> TrialRecord:
        """Returns the present record of a trial."""
        return trial_record(self._client.get_run(run_id))

    def create_trial(self, name: str, tags: Mapping[str, str]) -> str:
        """Creates a child run that waits for its process, and returns its id."""
        own = {names.STUDY: self.name, names.PARENT_RUN: self.parent_id, names.STATE: State.WAITING}
        create = patient(self._client.create_run)
        run_id = str(create(self.experiment_id, run_name=name, tags={**own, **tags}).info.run_id)
        patient(self._client.update_run)(run_id, "SCHEDULED")
        return run_id

    def adopt(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Makes an existing run a child of this study's parent."""
        self.set_tags(run_id, {names.PARENT_RUN: self.parent_id, **tags})

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Sets tags of any run of the study."""
        self._run(run_id).set_tags(tags)

    def finish(self, run_id: str) -> None:
        """Ends a trial that was not run here."""
        self._run(run_id).end("FINISHED", State.COMPLETE)

    def fail(self, run_id: str, reason: str, details: str) -> None:
        """Ends a trial that could not end itself."""
        run = self._run(run_id)
        run.set_tags({names.FAILURE: reason[:5000]})
        if details:
            run.log_text(details, names.TRACEBACK_FILE)
        run.end("FAILED", State.FAILED)

    def log_parent(
        self, metrics: Mapping[str, float], tags: Mapping[str, str], texts: Mapping[str, str]
    ) -> None:
        """Logs scalars, tags and text artifacts of the study; they replace earlier ones."""
        run = self._run(self.parent_id)
        run.log_final(metrics)
        run.set_tags(tags)
        for file, text in texts.items():
            run.log_text(text, file)

    def wait_for(self, run_ids: Sequence[str]) -> None:
        """Waits until the processes of these trials have ended.

        A trial of a killed launch saves and stops within a step; a trial that was started by
        itself runs to its end.
        """
        for run_id in run_ids:
            trial = self.trial(run_id)
            if trial.process is not None:
                text = f"Process {trial.process} still runs {trial.name}; waiting for it."
                stderr.print(text, markup=False)
            while self.trial(run_id).process is not None:
                time.sleep(1)
        self.mend()

    def mend(self) -> None:
        """Marks runs whose process died without closing them."""
        mend_stale_runs(self.experiment_id)

    def _run(self, run_id: str) -> Run:
        return Run(run_id, self.experiment_id, is_new=True)

    def _parents(self) -> list[MlflowRun]:
        return self._search(f"tags.{names.KIND} = '{names.STUDY_KIND}'")

    def _search(self, condition: str = "") -> list[MlflowRun]:
        query = f"tags.{names.STUDY} = '{self.name}'" + (f" and {condition}" if condition else "")
        return find_runs([self.experiment_id], query)


@contextmanager
def open_study(experiment: str, name: str) -> Iterator[StudyStore]:
    """Opens the study for this process alone.

    Raises:
        UsageError: If the name is not one of a study.
        EnvironmentFaultError: If another process runs the study.
    """
    if not is_study_name(name):
        raise UsageError(
            "A study's name has letters, digits, `_`, `-`, `.` and spaces, and no dot in front. "
            f"Received: study.name={name}. Fix: study.name=mine"
        )
    _LOCKS.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(_LOCKS / f"{name}.lock").acquire(timeout=0)
    except Timeout as error:
        raise EnvironmentFaultError(
            f"Another process is running this study. Received: study.name={name}. "
            "Fix: wait for it, or study.name=<another name>"
        ) from error
    with lock:
        yield StudyStore(experiment, name)


def terms_tags(terms: Terms) -> dict[str, str]:
    """Returns the tags of a parent run that record the study's target and objective."""
    return {
        names.OBJECTIVE: terms.objective.metric,
        names.DIRECTION: terms.objective.direction,
        names.TARGET: json.dumps(dataclasses.asdict(terms.target)),
    }


def terms_of(parent_tags: Mapping[str, str], trials: Sequence[TrialRecord]) -> Terms:
    """Returns a study's terms, by the tags of its parent run or by its first started trial."""
    if names.TARGET in parent_tags:
        target = json.loads(parent_tags[names.TARGET])
        return _terms(target, parent_tags[names.OBJECTIVE], parent_tags[names.DIRECTION])
    for params in (trial.params for trial in trials if trial.params):
        target = {key: params[f"target.{key}"] for key in ("name", "unit")}
        target |= {key: json.loads(params[f"target.{key}"]) for key in ("range", "bands")}
        return _terms(target, params["study.objective"], params["study.direction"])
    return Terms()


def _terms(target: Mapping[str, Any], objective: str, direction: str) -> Terms:
    return Terms(TargetConfig(**target), Objective(objective, Direction(direction)))


def is_parent(run: MlflowRun) -> bool:
    """Returns whether a run is the parent run of a study."""
    return run.data.tags.get(names.KIND) == names.STUDY_KIND


def trial_record(run: MlflowRun) -> TrialRecord:
    """Returns a run as the record of a trial."""
    tags, info, params = run.data.tags, run.info, run.data.params
    alive = info.status == "RUNNING" and is_alive(tags)
    number = tags.get(names.TRIAL, "")
    return TrialRecord(
        run_id=info.run_id,
        number=int(number) if number.isdecimal() else None,
        name=info.run_name,
        state=State(tags.get(names.STATE, State.WAITING)),
        configuration_hash=tags.get(names.CONFIGURATION_HASH, ""),
        data_digest=tags.get(names.DATA_DIGEST, ""),
        tags=tags,
        params=_completed(params) if params else {},
        metrics=run.data.metrics,
        seconds=run.data.metrics.get(names.TRIAL_SECONDS),
        process=int(tags[names.PROCESS_ID]) if alive else None,
        artifact_uri=info.artifact_uri,
    )


def _completed(params: Mapping[str, str]) -> dict[str, str]:
    """Returns parameters with the neutral values of keys that were introduced after them."""
    try:
        values = complete(params)
    except UsageError:  # an optimizer that was removed since
        values = {**complete({}), **params}
    return {key: str(value) for key, value in values.items()}


def _fixed(terms: Terms) -> dict[str, str]:
    """Returns the keys that all trials of a study share."""
    return {
        "study.objective": terms.objective.metric,
        "study.direction": terms.objective.direction,
        "target.name": terms.target.name,
        "target.unit": terms.target.unit,
    }
