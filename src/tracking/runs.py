"""Runs of trials: opened, one or many side by side, and each closed in its true state."""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mlflow.entities import Run as MlflowRun
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from src.core.console import stderr
from src.core.names import ARTIFACT_FAILURE, State
from src.tracking import entries
from src.tracking.entries import Entries, NewRun
from src.tracking.retry import patient
from src.tracking.run import Run, write_waiting
from src.tracking.store import (
    context_tags,
    mend_stale_runs,
    open_store,
    process_tags,
    search_all,
)

_ENDINGS = {
    "infeasible",
    "pruned",
    "failure",
    ARTIFACT_FAILURE,
}  # tags that say why a trial ended as it did
_RUNNING = RunStatus.to_string(RunStatus.RUNNING)
_NUM_IDS_A_QUERY = 200


@dataclass(frozen=True)
class Start:
    """How a trial's run is opened.

    Attributes:
        name: Name of a new run.
        tags: Tags of the run; `state` is kept here.
        resume_id: Run to go on with. It must still exist, and be neither finished nor another
            configuration's, which its tag `configuration_hash` tells; else a new run is opened.
    """

    name: str
    tags: Mapping[str, str]
    resume_id: str | None = None


class Runs:
    """Runs that are open side by side in one process.

    What is logged to one is written at once, and what is logged to several `together` in one go.

    Attributes:
        all: Every run, in the order of its start.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.all = tuple(runs)
        self._is_together = False

    @property
    def open(self) -> list[Run]:
        """Those whose ends are not written yet, and that the store has not refused."""
        return [run for run in self.all if run.is_open and run.fault is None]

    @contextmanager
    def together(self) -> Iterator[None]:
        """What the body logs to any of the runs, files apart, is written when it ends.

        In one transaction where the store is a SQLite database. A busy store is waited for,
        unless nothing but numbers of epochs was logged: they go on waiting. If the body raises,
        all waits until the runs end. A run that the store refuses has a `fault` afterwards.
        """
        if self._is_together:
            yield
            return
        self._hold(True)
        try:
            yield
        finally:
            self._hold(False)
        write_waiting(self.all)

    def log_epochs(self, runs: Sequence[Run], records: Sequence[Mapping[str, float]]) -> None:
        """A finished epoch of each of these runs; see `Run.log_epochs`."""
        with self.together():
            for run, record in zip(runs, records, strict=True):
                run.log_epochs([record])

    def close(self, runs: Sequence[Run]) -> None:
        """End these runs as what they are: complete, cut short, or infeasible."""
        self._end(runs, _true_ending)

    def fail(self, runs: Sequence[Run]) -> None:
        """End these runs as FAILED, with the exception that is being handled.

        Its traceback is kept with each as the artifact `traceback.txt`. A store that cannot even
        be told is mentioned on screen: the first fault is the one to raise.
        """
        with _second_fault_told():
            for run in runs:
                run.log_text(traceback.format_exc(), "traceback.txt")
        with _second_fault_told():
            self._end(runs, lambda run: (RunStatus.FAILED, State.FAILED))

    def interrupt(self, runs: Sequence[Run]) -> None:
        """End these runs as KILLED: they are WAITING, and their command makes them go on."""
        with _second_fault_told():
            self._end(runs, lambda run: (RunStatus.KILLED, State.WAITING))

    def _end(self, runs: Sequence[Run], ending: Callable[[Run], tuple[int, State]]) -> None:
        with self.together():
            for run in runs:
                run.end(*ending(run))

    def _hold(self, is_held: bool) -> None:
        self._is_together = is_held
        for run in self.all:
            run.is_held = is_held


@contextmanager
def trial_runs(experiment: str, starts: Sequence[Start], system_metrics: bool) -> Iterator[Runs]:
    """Open the runs of trials that run side by side, and close each in its true state.

    When the body ends, those that are still open are FINISHED, also of trials that are cut short,
    or FAILED where infeasible. They are KILLED when it is interrupted; FAILED, with the traceback,
    when it raises. Before, runs on this host whose process has died are marked KILLED.

    Args:
        experiment: Name of the experiment; created where it is missing.
        starts: One for each trial.
        system_metrics: Whether to record CPU, memory and GPU. The runs share a process, so that
            the first one's are those of all.
    """
    experiment_id = open_store(experiment)
    mend_stale_runs(experiment_id)
    runs = Runs(_open(experiment_id, starts))
    monitor = _start_monitor(runs.all[0]) if system_metrics and starts else None
    try:
        yield runs
    except (KeyboardInterrupt, SystemExit):
        runs.interrupt(runs.open)
        raise
    except BaseException:
        runs.fail(runs.open)
        raise
    else:
        runs.close(runs.open)
    finally:
        if monitor is not None:
            monitor.finish()


@contextmanager
def trial_run(
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    resume_id: str | None,
    system_metrics: bool,
) -> Iterator[Run]:
    """One trial's run; see `trial_runs` and `Start`."""
    with trial_runs(experiment, [Start(name, tags, resume_id)], system_metrics) as runs:
        (run,) = runs.all
        if run.fault is not None:
            raise run.fault
        yield run


def _open(experiment_id: str, starts: Sequence[Start]) -> list[Run]:
    """Each start's run, in their order: the one to go on with, or a new one."""
    running = {**process_tags(), "state": State.RUNNING}
    before = _find(experiment_id, starts)
    resumed = {
        run.info.run_id: Entries(
            tags={**start.tags, **running},
            dropped_tags=run.data.tags.keys() & _ENDINGS,
            status=_RUNNING,
        )
        for start, run in zip(starts, before, strict=True)
        if run is not None
    }
    new = [
        NewRun(start.name, {**context_tags(), **start.tags, **running}, _RUNNING)
        for start, run in zip(starts, before, strict=True)
        if run is None
    ]
    refused = patient(entries.write)(resumed)
    created = iter(entries.create(experiment_id, new))
    runs = []
    for run in before:
        run_id, artifact_uri = (run.info.run_id, run.info.artifact_uri) if run else next(created)
        is_new = run is None or not run.data.params
        runs.append(Run(run_id, experiment_id, is_new, artifact_uri))
        runs[-1].fault = refused.get(run_id)  # deleted, just now
    return runs


def _find(experiment_id: str, starts: Sequence[Start]) -> list[MlflowRun | None]:
    """For each start the run that it goes on with, if the experiment has it and it can."""
    ids = [start.resume_id for start in starts if start.resume_id and start.resume_id.isalnum()]
    found: dict[str | None, MlflowRun] = {}
    for place in range(0, len(ids), _NUM_IDS_A_QUERY):
        listed = ", ".join(f"'{run_id}'" for run_id in ids[place : place + _NUM_IDS_A_QUERY])
        runs = search_all(experiment_id, f"attributes.run_id IN ({listed})")
        found |= {run.info.run_id: run for run in runs}
    return [
        run if run is not None and _goes_on(run, start.tags) else None
        for start, run in ((start, found.get(start.resume_id)) for start in starts)
    ]


def _goes_on(run: MlflowRun, tags: Mapping[str, str]) -> bool:
    """Whether a run can take in this trial. The same at another fidelity is another trial."""
    key = "configuration_hash"
    lacks_artifacts = ARTIFACT_FAILURE in run.data.tags
    return bool(
        (lacks_artifacts or run.info.status != RunStatus.to_string(RunStatus.FINISHED))
        and run.data.tags.get(key, tags.get(key)) == tags.get(key)
    )


def _start_monitor(run: Run) -> SystemMetricsMonitor | None:
    """MLflow's thread that looks at the machine; it ends when the run does."""
    try:
        monitor = SystemMetricsMonitor(run.id, resume_logging=True)
    except Exception as error:  # of whatever driver it asks; no trial should fail for it
        stderr.print(f"CPU, memory and GPU are not recorded: {error}")
        return None
    monitor.start()
    return monitor


@contextmanager
def _second_fault_told() -> Iterator[None]:
    """Say that the store failed too, and go on: the first fault is the one to raise."""
    try:
        yield
    except (MlflowException, OSError) as error:
        stderr.print(f"The tracking store cannot be written: {error}")


def _true_ending(run: Run) -> tuple[int, State]:
    if run.infeasible:
        return RunStatus.FAILED, State.FAILED
    return RunStatus.FINISHED, State.PRUNED if run.pruned else State.COMPLETE
