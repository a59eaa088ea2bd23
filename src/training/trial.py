"""One trial: a configuration goes in, a trained regressor and a complete run come out."""

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType

from src.config import Config, configuration_hash
from src.console import stderr
from src.data import Dataset, TrainingBatches, prepare
from src.errors import ExplainedError, UsageError
from src.model import build_optimizer, build_regressor, fetch_weights, set_up
from src.tracking import Run, trial_run
from src.training import record
from src.training.checkpoint import Checkpoint, open_checkpoint
from src.training.epochs import DivergedError, EpochBatches, EpochEnd, StepWatch
from src.training.history import History
from src.training.result import TrialResult

CHECKPOINTS = Path("mlruns/checkpoints")


def run_trial(config: Config) -> TrialResult:
    """Train and measure one configuration, and record it in MLflow.

    An interrupted trial (Ctrl-C, SIGTERM, kill -9, power) goes on from its last finished epoch
    when it is started again with the same configuration on the same data, and comes to the same
    numbers as one that was left alone.

    Raises:
        ValueError: If the data or the weights are not usable as configured.
        FileNotFoundError: If data or weights are missing.
        RuntimeError: If the trial is already running, or the disk is full.
        KeyboardInterrupt: If it is interrupted; its run is then KILLED.
    """
    if config.model.weights is not None:
        fetch_weights(config.model.weights)  # before anything that takes time
    dataset = _prepare(config)
    _refuse_missing_test_part(config, dataset)
    name = f"{configuration_hash(config)}-{dataset.digest}"
    with _signals_interrupt(), open_checkpoint(CHECKPOINTS / config.study.name / name) as saved:
        if not config.fit.resume:
            saved.clear()
        before = saved.history()
        with _open_run(config, dataset.digest, before.run_id if before else None) as run:
            if run.is_new:
                record.log_start(run, config, dataset)
            result = _train_and_measure(config, dataset, saved, before, run)
            run.describe(result.headline())
        saved.clear()  # only now: a trial that dies earlier goes on from what was saved
    return result


def _train_and_measure(
    config: Config, dataset: Dataset, saved: Checkpoint, before: History | None, run: Run
) -> TrialResult:
    """Train to the end, from the start or from what was done before, and log the outcome."""
    fit, data = config.fit, config.data
    train, val = dataset.part("train"), dataset.part("val")
    batches = EpochBatches(
        TrainingBatches(train, data.batch_size, config.augmentation, config.seed)
    )

    stderr.print("Building the model; tracing its first step takes half a minute on a CPU.")
    set_up(config.seed, fit.precision, fit.deterministic)
    regressor = build_regressor(config.model, data.image_size, float(train.ages.mean()))
    optimizer = build_optimizer(config.optimizer, config.schedule, len(batches), fit.epochs)
    regressor.compile(optimizer, loss=str(config.model.loss), jit_compile=fit.jit_compile)
    # Unbuilt, its variables would be made while Keras traces the step, which is then traced twice.
    regressor.optimizer.build(regressor.trainable_variables)

    history = History(run.id)
    if before:
        saved.restore(regressor)
        history = History(run.id, before.epochs)
    measured_train = train.subset(fit.train_eval_limit, data.split.seed)
    epoch_end = EpochEnd(fit, len(train), measured_train, val, saved, run, history)
    watch = StepWatch(batches, fit.epochs)
    if len(history) < fit.epochs and not history.stops_early(fit.early_stopping_patience):
        try:
            with watch.bar:
                regressor.fit(
                    batches,
                    initial_epoch=len(history),
                    epochs=fit.epochs,
                    callbacks=[watch, epoch_end],
                    shuffle=False,
                    verbose=0,
                )
        except DivergedError as error:
            run.set_infeasible(str(error))
            return TrialResult.of_infeasible(run, epoch_end.history, str(error))
    saved.restore_best(regressor, epoch_end.history)
    metrics = record.log_outcome(run, config, dataset, regressor, epoch_end.history)
    return TrialResult.of_complete(run, epoch_end.history, metrics)


def _prepare(config: Config) -> Dataset:
    """The faces. Where a defect of ours stands in the way, a FAILED run keeps the traceback."""
    try:
        return prepare(config.data)
    except ExplainedError:
        raise
    except Exception:
        with _open_run(config, data_digest="", resume_id=None):
            raise


def _open_run(
    config: Config, data_digest: str, resume_id: str | None
) -> AbstractContextManager[Run]:
    return trial_run(
        experiment=config.tracking.experiment,
        name=record.run_name(config),
        tags=record.tags(config, data_digest),
        resume_id=resume_id,
        system_metrics=config.tracking.system_metrics,
    )


def _refuse_missing_test_part(config: Config, dataset: Dataset) -> None:
    """An official split, or a tiny data set, may leave nothing to test on."""
    if config.fit.evaluate_test and len(dataset.part("test")) == 0:
        raise UsageError(
            "The test part of the split is empty. Received: fit.evaluate_test=true on "
            f"{len(dataset.faces)} usable faces. Fix: more faces, or fit.evaluate_test=false"
        )


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """While the body runs, SIGTERM and a closed terminal do what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
