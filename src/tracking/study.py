"""A study in the store: one parent run, and a child run for each of its trials."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from mlflow.entities import Metric, RunStatus, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient

from src.config.validation import is_study_name
from src.core.console import stderr
from src.core.errors import EnvironmentFaultError, UsageError
from src.core.names import State
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.tracking import entries
from src.tracking.entries import NewRun
from src.tracking.retry import patient
from src.tracking.store import (
    is_alive,
    mend_stale_runs,
    open_store,
    process_tags,
    search_all,
)

_PARENT = "mlflow.parentRunId"
_LOCKS = Path("mlruns/.studies")


class StudyStore:
    """Reads and writes one study's parent and children; every call waits for a busy store.

    Attributes:
        experiment_id: MLflow's.
        name: The study's.
        parent_id: The parent's run id; empty until `open_parent`.
    """

    def __init__(self, experiment: str, name: str) -> None:
        self.experiment_id = open_store(experiment)
        self.name = name
        self.parent_id = ""
        self._client = MlflowClient()
        mend_stale_runs(self.experiment_id)

    def parent_tags(self) -> dict[str, str]:
        """Tags of the parent run; empty where there is none yet."""
        found = self._parents()
        return dict(found[0].data.tags) if found else {}

    def find_parent(self) -> str:
        """Id of the parent run; empty where there is none yet."""
        found = self._parents()
        return str(found[0].info.run_id) if found else ""

    def terms(self) -> Terms:
        """Returns the study's target and objective."""
        return Terms()

    @patient
    def open_parent(self, tags: Mapping[str, str]) -> None:
        """Make the parent run, or open it again."""
        found = self._parents()
        mine = {**tags, **process_tags(), "state": State.RUNNING}
        if found:
            self.parent_id = found[0].info.run_id
            self.set_tags(self.parent_id, mine)
            self._client.update_run(self.parent_id, status="RUNNING")
            return
        all_tags = {"study": self.name, "kind": "study", **mine}
        created = self._client.create_run(self.experiment_id, run_name=self.name, tags=all_tags)
        self.parent_id = created.info.run_id

    @patient
    def close_parent(self, status: str, state: State) -> None:
        """End the parent run, if it was opened; `status` is MLflow's."""
        if not self.parent_id:
            return
        self.set_tags(self.parent_id, {"state": state})
        self._client.set_terminated(self.parent_id, status)

    def trials(self) -> list[TrialRecord]:
        """All trials of the study, by number; those without a number come last."""
        records = [_record(run) for run in self._search() if run.data.tags.get("kind") != "study"]
        return sorted(records, key=lambda trial: (trial.number is None, trial.number))

    @patient
    def trial(self, run_id: str) -> TrialRecord:
        """One trial as it is now."""
        return _record(self._client.get_run(run_id))

    def create_trial(self, name: str, tags: Mapping[str, str]) -> str:
        """A child run that waits for its process; its id."""
        return self.create_trials([(name, tags)])[0]

    def create_trials(self, trials: Sequence[tuple[str, Mapping[str, str]]]) -> list[str]:
        """Child runs that wait for their processes, made together; their ids.

        Args:
            trials: Name and tags of each.
        """
        mine = {"study": self.name, _PARENT: self.parent_id, "state": State.WAITING}
        runs = [NewRun(name, {**mine, **tags}, "SCHEDULED") for name, tags in trials]
        return [run_id for run_id, _ in entries.create(self.experiment_id, runs)]

    def adopt(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Make a run that exists a child of this study's parent."""
        self.set_tags(run_id, {_PARENT: self.parent_id, **tags})

    @patient
    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Tags of any run of the study."""
        entities = [RunTag(key, str(value)) for key, value in tags.items()]
        self._client.log_batch(run_id, tags=entities)

    @patient
    def finish(self, run_id: str) -> None:
        """Close a trial that was not run here."""
        self.set_tags(run_id, {"state": State.COMPLETE})
        self._client.set_terminated(run_id, "FINISHED")

    @patient
    def fail(self, run_id: str, reason: str, details: str) -> None:
        """Close a trial that could not close itself."""
        self.set_tags(run_id, {"state": State.FAILED, "failure": reason[:5000]})
        if details:
            self._client.log_text(run_id, details, "traceback.txt")
        self._client.set_terminated(run_id, "FAILED")

    @patient
    def log_parent(
        self, metrics: Mapping[str, float], tags: Mapping[str, str], texts: Mapping[str, str]
    ) -> None:
        """Scalars, tags and text artifacts of the study; a number replaces the one before."""
        now = int(time.time() * 1000)
        entities = [Metric(key, float(value), now, 0) for key, value in metrics.items()]
        self._client.log_batch(self.parent_id, metrics=entities)
        self.set_tags(self.parent_id, tags)
        for file, text in texts.items():
            self._client.log_text(self.parent_id, text, file)

    def wait_for(self, run_ids: Sequence[str]) -> None:
        """Wait until the processes of these trials are gone.

        An orphan of a killed launch saves and stops within a step; somebody's single trial runs
        to its end.
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
        """Mark runs whose process died without a word."""
        mend_stale_runs(self.experiment_id)

    def _parents(self) -> list[MlflowRun]:
        return self._search("tags.kind = 'study'")

    def _search(self, condition: str = "") -> list[MlflowRun]:
        query = f"tags.study = '{self.name}'" + (f" and {condition}" if condition else "")
        return search_all(self.experiment_id, query)


@contextmanager
def open_study(experiment: str, name: str) -> Iterator[StudyStore]:
    """The study, for this process alone.

    Raises:
        RuntimeError: If another process runs it.
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


def _record(run: MlflowRun) -> TrialRecord:
    tags, info = run.data.tags, run.info
    state = State(tags.get("state", State.WAITING))
    alive = info.status == RunStatus.to_string(RunStatus.RUNNING) and is_alive(tags)
    return TrialRecord(
        run_id=info.run_id,
        number=int(tags["trial"]) if tags.get("trial", "").isdecimal() else None,
        name=info.run_name,
        state=state,
        configuration_hash=tags.get("configuration_hash", ""),
        data_digest=tags.get("data_digest", ""),
        tags=tags,
        params=run.data.params,
        metrics=run.data.metrics,
        seconds=run.data.metrics.get("time/trial_seconds"),
        process=int(tags["process.id"]) if alive else None,
        artifact_uri=info.artifact_uri,
    )
