"""One trial: a configuration goes in, a trained regressor and a complete run come out."""

import functools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import keras

from src.config import Config, run_name
from src.config.schema import FitConfig
from src.core import names
from src.core.console import stderr
from src.core.errors import ExplainedError, UsageError
from src.core.signals import signals_interrupt
from src.data import Dataset, prepare
from src.data.epoch_batches import EpochBatches
from src.data.shards import NotFloat16Error
from src.model import fetch_weights
from src.tracking import Run, State, sibling_curves, trial_run
from src.tracking.checkpoints import checkpoint_folder
from src.training import pruning, trial_logging
from src.training.activations import (
    Inputs,
    activation_inputs,
    picture_inputs,
    wants_activations,
)
from src.training.checkpoint import Checkpoint, open_checkpoint
from src.training.epochs import DivergedError, EpochEnd, StepWatch
from src.training.history import History
from src.training.program import Program, start_program
from src.training.result import TrialResult


def run_trial(config: Config) -> TrialResult:
    """Train and measure one configuration, and record it in MLflow.

    An interrupted trial (Ctrl-C, SIGTERM, kill -9, power) goes on from its last finished epoch
    when it is started again with the same configuration on the same data, and comes to the same
    numbers as one that was left alone. So does one that ends at its fidelity, when it is started
    again with a higher one; that has a run of its own, with the whole curve.

    Raises:
        ValueError: If the data or the weights are not usable as configured.
        FileNotFoundError: If data or weights are missing.
        RuntimeError: If the trial is already running, or the disk is full.
        KeyboardInterrupt: If it is interrupted; its run is then KILLED.
    """
    started = time.perf_counter()
    with signals_interrupt():
        if config.model.weights is not None:
            fetch_weights(config.model.weights)  # before anything that takes time
        dataset = _prepare(config)
        refuse_missing_test_part(config, dataset)
        with open_checkpoint(checkpoint_folder(config, dataset.digest)) as saved:
            before = what_was_done(config.fit, saved)
            with _open_run(config, dataset.digest, before) as run:
                if run.is_new:
                    trial_logging.log_start(run, config, dataset)
                result = _train_and_measure(config, dataset, saved, before, run)
                inherited = before.epochs if before else ()
                elapsed = time.perf_counter() - started
                trial_logging.log_duration(run, result.history, inherited, elapsed)
                run.describe(result.headline())
            if not can_be_promoted(config.fit, result):
                saved.clear()  # only now: a trial that dies earlier goes on from what was saved
    return result


def _train_and_measure(
    config: Config, dataset: Dataset, saved: Checkpoint, before: History | None, run: Run
) -> TrialResult:
    """Train to the end, from the start or from what was done before, and log the outcome."""
    fit = config.fit
    program, inputs = start_model(config, dataset)
    batches = EpochBatches(inputs.batches)
    history = History(run.id)
    if before:
        history = History(run.id, before.epochs)
        if len(before) < fit.epochs:
            saved.restore(program, before)
            if before.run_id != run.id:
                saved.save(program, history)  # or, interrupted now, it would lose its new run
    epoch_end = EpochEnd(
        fit,
        len(dataset.part("train")),
        program,
        inputs,
        saved,
        run,
        history,
        _pruner(config, dataset.digest, run),
    )
    watch = StepWatch(batches, fit.last_epoch)
    if not epoch_end.is_over():
        try:
            with watch.bar:
                program.fitted.fit(
                    batches.dataset(),
                    initial_epoch=len(history),
                    epochs=fit.last_epoch,
                    callbacks=[watch, epoch_end],
                    shuffle=False,
                    verbose=0,
                )
        except DivergedError as error:
            reason = error.reason(config.optimizer.learning_rate)
            run.set_infeasible(reason)
            return TrialResult.of_infeasible(run, epoch_end.history, reason)
    saved.restore_best(program, epoch_end.history)
    best = epoch_end.best or inputs.measure(program.fitted, fit.eval_batch_size)
    metrics = trial_logging.log_outcome(run, config, dataset, program, best, epoch_end.history)
    return TrialResult.of_measured(run, epoch_end.history, metrics)


def start_model(config: Config, dataset: Dataset) -> tuple[Program, Inputs]:
    """The trial's model as it begins, and what it is trained and measured on.

    Where layers are frozen that is their activations, unless something stands in the way, which a
    line then says.
    """
    pictures = picture_inputs(config, dataset)
    start = functools.partial(
        start_program, config, float(dataset.part("train").ages.mean()), len(pictures.batches)
    )
    if wants_activations(config):
        program = start(is_cached=True)
        activations = program.frozen and _activations(config, dataset, program.frozen)
        if activations is not None:
            return program, activations
    return start(is_cached=False), pictures


def _activations(config: Config, dataset: Dataset, frozen: keras.Model) -> Inputs | None:
    try:
        return activation_inputs(config, dataset, frozen)
    except NotFloat16Error as error:
        stderr.print(f"The activation cache is off: an activation is no float16; {error}.")
        return None


def what_was_done(fit: FitConfig, saved: Checkpoint) -> History | None:
    """The saved epochs that the trial may build upon, after clearing those that it may not."""
    if not fit.resume:
        saved.clear()
    before = saved.history()
    if before is not None and len(before) > fit.last_epoch:
        stderr.print(f"The saved state is past epoch {fit.last_epoch}; the trial starts anew.")
        saved.clear()
        return None
    return before


def can_be_promoted(fit: FitConfig, result: TrialResult) -> bool:
    """Whether a trial ended for no other reason than its fidelity, and is to go on from there."""
    spent = len(result.history)
    return (
        fit.keep_state
        and result.state is State.COMPLETE
        and spent == fit.fidelity != fit.epochs
        and not result.history.stops_early(fit.early_stopping_patience)
    )


def _pruner(config: Config, data_digest: str, run: Run) -> Callable[[History], str]:
    """Looks at the study's other trials where the pruner has to decide, and only there."""

    def reason_to_prune(history: History) -> str:
        if not pruning.is_due(config.pruner, len(history), config.fit.last_epoch):
            return ""
        siblings = sibling_curves(
            run.experiment_id, config.study.name, data_digest, run.id, names.VAL_MAE
        )
        return pruning.reason_to_prune(
            config.pruner, history.curve, siblings, config.fit.last_epoch
        )

    return reason_to_prune


def _prepare(config: Config) -> Dataset:
    """The faces. Where a defect of ours stands in the way, a FAILED run keeps the traceback."""
    try:
        return prepare(config.data)
    except ExplainedError:
        raise
    except Exception:
        with _open_run(config, data_digest="", before=None):
            raise


def _open_run(
    config: Config, data_digest: str, before: History | None
) -> AbstractContextManager[Run]:
    """The run that waits for the trial, or the one that it was interrupted in, or a new one."""
    resume_id = config.study.run_id
    if resume_id is None and before is not None:
        resume_id = before.run_id
    return trial_run(
        experiment=config.tracking.experiment,
        name=run_name(config),
        tags=trial_logging.tags(config, data_digest),
        resume_id=resume_id,
        system_metrics=config.tracking.system_metrics,
    )


def refuse_missing_test_part(config: Config, dataset: Dataset) -> None:
    """An official split, or a tiny data set, may leave nothing to test on."""
    if config.fit.evaluate_test and len(dataset.part("test")) == 0:
        raise UsageError(
            "The test part of the split is empty. Received: fit.evaluate_test=true on "
            f"{len(dataset.faces)} usable faces. Fix: more faces, or fit.evaluate_test=false"
        )
