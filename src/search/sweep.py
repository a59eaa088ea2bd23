"""One launch of a study: from what the store knows to the table at the end."""

import time
from collections import defaultdict
from contextlib import AbstractContextManager
from typing import Protocol

from src.config import why_alone
from src.core import names
from src.core.console import show, spell_seconds, stderr
from src.core.errors import EnvironmentFaultError
from src.core.names import State
from src.records import tables
from src.records.terms import Terms
from src.search import plan
from src.search.launch import Order, open_loop, simulate
from src.search.loop import Loop, Workers
from src.search.progress import Progress
from src.tracking.lookup import announce_new_study
from src.tracking.study import StudyStore, open_study
from src.tracking.views import save_views, study_links


class StudyWorkers(Workers, Protocol):
    """Workers that can be interrupted."""

    num_jobs: int

    def signals(self) -> AbstractContextManager[None]:
        """While in the body, an interrupt reaches the loop where it can end in good order."""


def run_study(order: Order, workers: StudyWorkers) -> None:
    """Run what is missing of a study.

    Raises:
        ValueError: If the study was begun with another search.
        RuntimeError: If it ended early, or trials failed; all is recorded.
        KeyboardInterrupt: If it was interrupted; the trials that ran have saved their states.
    """
    announce_new_study(order.experiment, order.study)
    with open_study(order.experiment, order.study) as store:
        status, state = "FAILED", State.FAILED
        try:
            loop, _ = open_loop(order, store, workers)
            num_trials, num_epochs = _size(loop, order)
            progress = Progress(num_trials, num_epochs, workers.num_jobs)
            progress.known([job for job in loop.jobs if job.outcome])
            loop.on_start, loop.on_end = progress.started, progress.ended
            loop.on_retry = progress.retried
            _greet(store, order, loop)
            swept = _swept_keys(order, loop)
            links = save_views(store.experiment_id, order.study, swept, swept, store.terms())
            stderr.print(f"`mlflow ui` shows it at {links.charts}", markup=False)
            num_missing = num_trials - sum(job.outcome is not None for job in loop.jobs)
            planned = plan.recall(order, num_missing, workers.num_jobs)
            started = time.monotonic()
            try:
                with workers.signals():
                    loop.run()
            finally:
                _tell(store, order, loop)
            if not loop.stopped and all(job.outcome for job in loop.jobs):
                status, state = "FINISHED", State.COMPLETE
                if planned is not None:
                    _hold_against_plan(store, planned, time.monotonic() - started)
        except (KeyboardInterrupt, SystemExit):
            status, state = "KILLED", State.WAITING
            raise
        finally:
            store.close_parent(status, state)
    _explain_failures(loop)


def _size(loop: Loop, order: Order) -> tuple[int, int]:
    """Trials and epochs in all, as far as can be known."""
    if not loop.search.is_adaptive:
        return len(loop.jobs), sum(job.epochs for job in loop.jobs)
    suggestions = [suggestion for suggestion, _ in simulate(order)]
    epochs = [plan.epochs_to_train(each, suggestions, order.max_epochs) for each in suggestions]
    num_replicates = order.rules.num_replicates
    return len(suggestions) * num_replicates, sum(epochs) * num_replicates


def _swept_keys(order: Order, loop: Loop) -> list[str]:
    """Keys with more than one value, as far as can be known; a group (no dot) is no parameter."""
    values: dict[str, set[str]] = defaultdict(set)
    if loop.search.is_adaptive:
        suggestions = [suggestion for suggestion, _ in simulate(order)]
    else:
        suggestions = [job.suggestion for job in loop.jobs]
    for suggestion in suggestions:
        for key, text in suggestion.values.items():
            values[key].add(text)
    return sorted(key for key in values if "." in key and len(values[key]) > 1)


def _hold_against_plan(store: StudyStore, planned: float, actual: float) -> None:
    store.log_parent({"plan/predicted_seconds": planned, "plan/actual_seconds": actual}, {}, {})
    off = actual / planned - 1
    print(f"Planned: {spell_seconds(planned)}. It took {spell_seconds(actual)} ({off:+.0%}).")


def _greet(store: StudyStore, order: Order, loop: Loop) -> None:
    known = sum(job.outcome is not None for job in loop.jobs)
    begun = f", {known} of them known" if known else ""
    trials = f"{tables.counted(len(loop.jobs))}{begun}" if loop.jobs else "new search"
    numbers = {job.number for job in loop.jobs}
    others = sum(trial.number not in numbers for trial in store.trials())
    base = order.base
    if base is not None and base.model.freeze == "backbone" and (reason := why_alone(base)):
        stderr.print(f"Its trials train one by one, not side by side: {reason}.", markup=False)
    apart = f" Also in it, left alone: {tables.counted(others)}." if others else ""
    stderr.print(f'Study "{order.study}" ({order.oracle}): {trials}.{apart}', markup=False)


def _tell(store: StudyStore, order: Order, loop: Loop) -> None:
    """Leave the account of the study with its parent run, and on the screen."""
    numbers = {job.number for job in loop.jobs}
    everything = store.trials()
    trials = [trial for trial in everything if trial.number in numbers]
    summary = tables.headline(trials, Terms())
    shortfall = loop.search.shortfall
    if shortfall:
        summary += f" {shortfall} promotions had no candidate left, because trials failed."
    complete = [t for t in tables.ranked(trials, Terms().objective) if t.state is State.COMPLETE]
    metrics = {"study/num_trials": float(len(trials))}
    if complete:
        metrics["study/best_val_mae"] = complete[0].metrics["best/val_mae"]
    varied, axes = tables.varied_keys(everything), tables.axis_keys(everything)
    links = save_views(store.experiment_id, order.study, varied, axes, store.terms())
    from_page = study_links(store.experiment_id, order.study, page="")
    note = tables.description(order.question, summary, from_page.markdown(), trials, Terms())
    store.log_parent(
        metrics,
        {names.NOTE: note},
        {"trials.csv": tables.as_csv(everything, Terms().objective)},
    )
    if trials:
        show(tables.table(f'Study "{order.study}"', trials, Terms()))
    print(summary)
    if len(everything) > len(trials):
        print(f'{len(everything) - len(trials)} more: `make trials STUDY="{order.study}"`')
    print(f"`mlflow ui` shows all trials\nas a table: {links.table}\nin charts: {links.charts}")


def _explain_failures(loop: Loop) -> None:
    failed = [job for job in loop.jobs if job.outcome and job.outcome.has_failed]
    if not failed:
        return
    ended = f"The sweep ended early: {loop.stopped}. " if loop.stopped else ""
    numbers = ", ".join(str(job.number) for job in failed)
    kept = ", and leaves what its search has gone on from" if loop.search.is_adaptive else ""
    reason = failed[0].outcome.failure if failed[0].outcome else ""
    raise EnvironmentFaultError(
        f"{ended}{len(failed)} of {len(loop.jobs)} trials failed: {numbers}. "
        f"Received: {reason}. Fix: the cause (traceback.txt of the run in MLflow), then the same "
        f"command again; it runs only what is missing{kept}"
    )
