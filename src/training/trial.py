"""One trial, from its configuration to a trained model and a complete run."""

import time
from collections.abc import Mapping

from src.config import Config
from src.core.errors import ExplainedError
from src.core.signals import signals_interrupt
from src.data import Dataset
from src.data.epoch_batches import EpochBatches
from src.tracking.checkpoints import checkpoint_folder
from src.training import trial_logging
from src.training.active import ActiveTrial
from src.training.callbacks import DivergedError, EpochEnd, StepWatch
from src.training.checkpoint import open_checkpoint
from src.training.finish import finish_trial, keeps_checkpoint
from src.training.history import History
from src.training.measurement import Measured
from src.training.result import TrialResult
from src.training.start import finished_epochs, open_runs, prepare_data, start_model


def run_trial(config: Config) -> TrialResult:
    """Trains and measures one configuration, and records it in MLflow.

    An interrupted trial (Ctrl-C, SIGTERM, kill -9, power) resumes from its last finished epoch
    when it is started again with the same configuration on the same data, and gives the same
    numbers as an undisturbed one. So does a trial that ended at its fidelity, when it is started
    again with a higher one; that has a run of its own, with the whole curve. A trial whose
    artifacts could not be stored stores them in its run, without training.

    Raises:
        UsageError: If the data or the weights are not usable as configured.
        MissingFileError: If data or weights are missing.
        EnvironmentFaultError: If the trial is already running, or the disk is full.
        KeyboardInterrupt: If it is interrupted; its run is then KILLED.
    """
    started = time.perf_counter()
    with signals_interrupt():
        dataset = _prepare(config)
        with open_checkpoint(checkpoint_folder(config, dataset.digest)) as checkpoint:
            history = finished_epochs(config, checkpoint)
            with open_runs([config], dataset.digest, [history]) as (run,):
                trial = ActiveTrial(config, dataset, checkpoint, run, history)
                trial_logging.log_start(trial)
                result = _train(trial, history.run_id, started)
            if not keeps_checkpoint(config.fit, result):
                checkpoint.clear()  # a trial that dies earlier resumes from it
    return result


def _train(trial: ActiveTrial, former_run: str, started: float) -> TrialResult:
    """Trains to the end, from the start or from the last finished epoch, and logs the end."""
    fit, checkpoint = trial.config.fit, trial.checkpoint
    program, inputs = start_model(trial.config, trial.dataset)
    batches = EpochBatches(inputs.batches)
    if 0 < trial.num_inherited < fit.epochs:
        checkpoint.restore(program, trial.history)
        if former_run != trial.run.id:
            checkpoint.save(program, trial.history)  # with the new run, if interrupted now
    epoch_end = EpochEnd(trial, program, inputs)
    watch = StepWatch(batches)
    if not epoch_end.is_over():
        try:
            with watch.bar:
                program.fitted.fit(
                    batches.dataset(),
                    initial_epoch=trial.num_inherited,
                    epochs=fit.last_epoch,
                    callbacks=[watch, epoch_end],
                    shuffle=False,
                    verbose=0,
                )
        except DivergedError as error:
            trial.set_diverged(*error.args)

    def load_epoch(epoch: int) -> Mapping[str, Measured]:
        checkpoint.restore_weights(program, epoch)
        measured = epoch_end.measured.get(epoch)
        return measured or inputs.measure(program.fitted, fit.eval_batch_size)

    return finish_trial(trial, program, load_epoch, lambda: time.perf_counter() - started)


def _prepare(config: Config) -> Dataset:
    """Returns the faces; a defect of the code leaves a FAILED run with the traceback."""
    try:
        return prepare_data(config)
    except ExplainedError:
        raise
    except Exception:
        with open_runs([config], "", [History("")]):
            raise
