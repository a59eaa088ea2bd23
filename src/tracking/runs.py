"""Opening and closing the runs of trials."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from mlflow import MlflowClient, entities
from mlflow.entities import RunTag
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from src.core import names
from src.core.console import stderr
from src.core.names import State
from src.tracking.retry import patient
from src.tracking.run import Run, store_failure_printed
from src.tracking.store import context_tags, find_runs, mend_stale_runs, open_store, process_tags

_ENDINGS = {names.INFEASIBLE, names.PRUNED, names.FAILURE, names.ARTIFACT_FAILURE}


@dataclass(frozen=True)
class Start:
    """Specification of a trial's run.

    Attributes:
        name: Name of a new run.
        tags: Tags of the run; `state` is added.
        resume_id: Run to resume. It is resumed if it exists, is not finished, and has no other
            tag `configuration_hash`; otherwise a new run is opened.
    """

    name: str
    tags: Mapping[str, str]
    resume_id: str | None = None


@contextmanager
def trial_runs(
    experiment: str, starts: Sequence[Start], system_metrics: bool
) -> Iterator[list[Run]]:
    """Opens the runs of trials, and closes each in its true state.

    When the body ends, runs that are still open are closed, see `Run.close`. They are KILLED when
    it is interrupted, and FAILED with the traceback when it raises. Before, runs on this host whose
    process has died are marked as KILLED.

    Args:
        experiment: Name of the experiment; created if it is missing.
        starts: One for each trial.
        system_metrics: Whether to record CPU, memory and GPU of this process with the first run.
    """
    experiment_id = open_store(experiment)
    mend_stale_runs(experiment_id)
    runs = [_open(experiment_id, start) for start in starts]
    unended = (run for run in runs if run.is_open)  # evaluated after the body
    monitor = _start_monitor(runs[0]) if system_metrics and starts else None
    try:
        yield runs
    except (KeyboardInterrupt, SystemExit):
        for run in unended:  # the same command resumes them
            with store_failure_printed():
                run.end("KILLED", State.WAITING)
        raise
    except BaseException:
        for run in unended:
            run.fail()
        raise
    else:
        with ExitStack() as ends:  # calls all of them, and raises afterwards
            for run in unended:
                ends.callback(run.close)
    finally:
        if monitor is not None:
            monitor.finish()


@patient
def _open(experiment_id: str, start: Start) -> Run:
    client = MlflowClient()
    tags = {**start.tags, **process_tags(), names.STATE: State.RUNNING}
    before = _resumable(experiment_id, start)
    if before is None:
        all_tags = {**context_tags(), **tags}
        made = client.create_run(experiment_id, run_name=start.name, tags=all_tags)
        return Run(made.info.run_id, experiment_id, is_new=True)
    run_id = before.info.run_id
    client.log_batch(run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])
    for tag in _ENDINGS & before.data.tags.keys():
        client.delete_tag(run_id, tag)
    client.update_run(run_id, "RUNNING")
    return Run(run_id, experiment_id, is_new=not before.data.params)


def _resumable(experiment_id: str, start: Start) -> entities.Run | None:
    """Returns the run that a start resumes; None for a new one.

    A configuration with another fidelity has another hash: it is another trial.
    """
    if not start.resume_id or not start.resume_id.isalnum():
        return None
    own = start.tags.get(names.CONFIGURATION_HASH)
    for run in find_runs([experiment_id], f"attributes.run_id = '{start.resume_id}'"):
        tags = run.data.tags
        can_continue = run.info.status != "FINISHED" or names.ARTIFACT_FAILURE in tags
        if can_continue and tags.get(names.CONFIGURATION_HASH, own) == own:
            return run
    return None


def _start_monitor(run: Run) -> SystemMetricsMonitor | None:
    try:
        monitor = SystemMetricsMonitor(run.id, resume_logging=True)
    except Exception as error:  # from any driver; no trial should fail for it
        stderr.print(f"CPU, memory and GPU are not recorded: {error}")
        return None
    monitor.start()
    return monitor
