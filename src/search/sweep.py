"""Runs one launch of a study, from the records in the store to the final table."""

import time

from src.config.identity import why_alone
from src.core import names
from src.core.console import show, spell_seconds, stderr
from src.core.errors import EnvironmentFaultError
from src.core.names import State
from src.records import tables
from src.search import plan
from src.search.launch import Launch, simulate
from src.search.loop import Loop, Workers
from src.search.progress import Progress
from src.search.resume import open_loop
from src.tracking.lookup import announce_new_study
from src.tracking.study import StudyStore, open_study
from src.tracking.views import save_views, study_links


def run_study(launch: Launch, workers: Workers) -> None:
    """Runs the trials that a study lacks.

    Raises:
        UsageError: If the study began with another search.
        EnvironmentFaultError: If it ended early, or trials failed; all is recorded.
        KeyboardInterrupt: If it was interrupted; the trials that ran have saved their states.
    """
    announce_new_study(launch.experiment, launch.study)
    with open_study(launch.experiment, launch.study) as store:
        status, state = "FAILED", State.FAILED
        try:
            loop = open_loop(launch, store, workers)
            epochs = [job.epochs for job in loop.jobs]
            if loop.search.is_adaptive:
                epochs = [each for _, each, _ in simulate(launch)] * launch.settings.replicates
            progress = Progress(len(epochs), sum(epochs), workers.num_jobs, launch.terms)
            known = [job for job in loop.jobs if job.outcome]
            progress.known(known)
            loop.on_start, loop.on_end = progress.started, progress.ended
            loop.on_retry = progress.retried
            _announce(launch, loop, store)
            planned = plan.recall(launch, len(epochs) - len(known), workers.num_jobs)
            started = time.monotonic()
            try:
                with workers.signals():
                    loop.run()
            finally:
                _summarise(launch, loop, store)
            if not loop.stopped and all(job.outcome for job in loop.jobs):
                status, state = "FINISHED", State.COMPLETE
                if planned is not None:
                    _compare_with_plan(store, planned, time.monotonic() - started)
        except (KeyboardInterrupt, SystemExit):
            status, state = "KILLED", State.WAITING
            raise
        finally:
            store.close_parent(status, state)
    _raise_failures(loop)


def _announce(launch: Launch, loop: Loop, store: StudyStore) -> None:
    """Prints the size of the study and where MLflow shows it."""
    base, num_known = launch.base, sum(job.outcome is not None for job in loop.jobs)
    known = f", {num_known} of them known" if num_known else ""
    trials = f"{tables.counted(len(loop.jobs))}{known}" if loop.jobs else "new search"
    lines = [f'Study "{launch.study}" ({loop.search.name}): {trials}.']
    numbers = {job.number for job in loop.jobs}
    num_others = sum(trial.number not in numbers for trial in store.trials())
    if num_others:
        lines.append(f"The study has {tables.counted(num_others)} besides those of this sweep.")
    if base is not None and base.model.freeze == "backbone" and (reason := why_alone(base)):
        lines.append(f"Its trials do not train as stacked heads: {reason}.")
    swept = sorted(key for key in launch.swept if "." in key)  # a group is no parameter
    links = save_views(store.experiment_id, launch.study, swept, swept, launch.terms)
    lines.append(f"`mlflow ui` shows it at {links.charts}")
    stderr.print("\n".join(lines), markup=False)


def _compare_with_plan(store: StudyStore, planned: float, actual: float) -> None:
    store.log_parent({names.PLANNED_SECONDS: planned, names.ACTUAL_SECONDS: actual}, {}, {})
    off = actual / planned - 1
    print(f"Planned: {spell_seconds(planned)}. It took {spell_seconds(actual)} ({off:+.0%}).")


def _summarise(launch: Launch, loop: Loop, store: StudyStore) -> None:
    """Logs the summary of the study with its parent run, and prints it."""
    terms, numbers = launch.terms, {job.number for job in loop.jobs}
    everything = store.trials()
    trials = [trial for trial in everything if trial.number in numbers]
    summary = tables.headline(trials, terms)
    if loop.search.shortfall:
        summary += f" {loop.search.shortfall} promotions had no candidate, because trials failed."
    metrics = {names.NUM_TRIALS: float(len(trials))}
    metric = terms.objective.metric
    best = next(iter(tables.ranked(trials, terms.objective)), None)
    if best is not None and best.state is State.COMPLETE and metric in best.metrics:
        metrics[names.study_best(metric)] = best.metrics[metric]
    varied, axes = tables.varied_keys(everything), tables.axis_keys(everything)
    links = save_views(store.experiment_id, launch.study, varied, axes, terms)
    from_page = study_links(store.experiment_id, launch.study, page="")
    note = tables.description(launch.question, summary, from_page.markdown(), trials, terms)
    store.log_parent(
        metrics, {names.NOTE: note}, {"trials.csv": tables.as_csv(everything, terms.objective)}
    )
    if trials:
        show(tables.table(f'Study "{launch.study}"', trials, terms))
    print(summary)
    if len(everything) > len(trials):
        print(f'{len(everything) - len(trials)} more: `make trials STUDY="{launch.study}"`')
    print(f"`mlflow ui` shows all trials\nas a table: {links.table}\nin charts: {links.charts}")


def _raise_failures(loop: Loop) -> None:
    failed = [job for job in loop.jobs if job.outcome and job.outcome.has_failed]
    if not failed:
        return
    ended = f"The sweep ended early: {loop.stopped}. " if loop.stopped else ""
    numbers = ", ".join(str(job.number) for job in failed)
    kept = ", but not those whose failure its search knows" if loop.search.is_adaptive else ""
    reason = failed[0].outcome.failure if failed[0].outcome else ""
    raise EnvironmentFaultError(
        f"{ended}{len(failed)} of {len(loop.jobs)} trials failed: {numbers}. "
        f"Received: {reason}. Fix: the cause (traceback.txt of the run in MLflow), then the same "
        f"command again; it runs only what is missing{kept}"
    )
