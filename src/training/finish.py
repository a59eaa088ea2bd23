"""End of a trial: final metrics first, then artifacts."""

from collections.abc import Callable, Mapping

from src.config.schema import FitConfig
from src.core import names
from src.core.names import State
from src.records.terms import Terms
from src.tracking import provenance
from src.training import trial_logging
from src.training.active import ActiveTrial
from src.training.measurement import Measured, final_metrics, measure, part_metrics
from src.training.program import Program
from src.training.result import TrialResult

LoadEpoch = Callable[[int], Mapping[str, Measured]]
"""Loads the weights after an epoch into the program, and returns the parts `train` and `val` as
that epoch predicts them. It is called with the best epoch, then with the kept one."""


def finish_trial(
    trial: ActiveTrial, program: Program, load_epoch: LoadEpoch, elapsed: Callable[[], float],
    may_be_best: bool = True,
) -> TrialResult:  # fmt: skip
    """Logs the end of a trial.

    The metrics are logged before the artifacts, so that a model, a figure or a table that cannot
    be stored does not cost the trial its numbers.

    Args:
        trial: A trial that is over or pruned.
        program: Its model.
        load_epoch: See `LoadEpoch`.
        elapsed: Returns the trial's share of this process's time, s.
        may_be_best: Whether it can be the best of its study, whose model is kept.
    """
    run, history = trial.run, trial.history
    terms = Terms(trial.config.target, history.objective)
    inherited = history.epochs[: trial.num_inherited]
    inherited_seconds = sum(epoch[names.EPOCH_SECONDS] for epoch in inherited)
    run.log_epochs(history.epochs)
    metrics: dict[str, float] = {}
    failure = ""
    if trial.infeasible:
        run.set_infeasible(trial.infeasible)
    else:
        measured, metrics = _measure(trial, program, load_epoch)
        run.log_final(metrics)
        # Of the objectives, the trial's duration alone is not known yet.
        seconds = inherited_seconds + elapsed()
        cost = terms.objective.cost(metrics.get(terms.objective.metric, seconds))
        failure = trial_logging.log_artifacts(trial, program, measured, cost, may_be_best)
    duration = {names.TRIAL_SECONDS: inherited_seconds + elapsed()}
    run.log_final(duration)
    result = TrialResult(
        terms,
        metrics | duration if metrics else {},
        history,
        run.id,
        trial.infeasible,
        run.pruned,
        failure,
    )
    run.set_tags({names.NOTE: result.headline()})
    return result


def keeps_checkpoint(fit: FitConfig, result: TrialResult) -> bool:
    """Returns whether the state on disk is needed after the end of a trial.

    That is, for a promotion, if the trial ended only because of its fidelity; or to store the
    artifacts that could not be stored: the same command again finds the trained epochs, and stores
    them in the same run.
    """
    can_be_promoted = (
        fit.keep_state
        and result.state is State.COMPLETE
        and len(result.history) == fit.fidelity != fit.epochs
        and not result.history.stops_early(fit.early_stopping_patience)
    )
    return can_be_promoted or bool(result.artifact_failure)


def _measure(
    trial: ActiveTrial, program: Program, load_epoch: LoadEpoch
) -> tuple[dict[str, Measured], dict[str, float]]:
    """Returns the parts as the kept epoch predicts them, and the final metrics."""
    history, config = trial.history, trial.config
    best = kept = load_epoch(history.best_epoch)
    if history.kept_epoch != history.best_epoch:
        kept = load_epoch(history.kept_epoch)
    labels = trial.dataset.part("train").labels
    metrics = final_metrics(history, best, kept, labels)
    measured = dict(kept)
    if config.fit.evaluate_test:
        test = trial.dataset.part("test")
        measured["test"] = measure(program.regressor, test, config.fit.eval_batch_size)
        metrics |= part_metrics("test", measured["test"], labels)
    metrics[names.PEAK_MEMORY] = provenance.peak_memory_gib()
    return measured, metrics
