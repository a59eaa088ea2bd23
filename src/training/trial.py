"""One trial: a configuration goes in, a trained regressor and a complete run come out."""

import json
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType

import keras
import numpy as np
import pandas as pd

from src.config import Config, configuration_hash, flatten
from src.config.schema import KeepModel
from src.console import stderr
from src.data import Dataset, TrainingBatches, prepare
from src.errors import UsageError
from src.metrics import metrics_by_age_band
from src.model import build_optimizer, build_regressor, inference_model, set_up
from src.tracking import Run, best_val_mae, provenance, trial_run
from src.training import figures
from src.training.checkpoint import Checkpoint, Progress, open_checkpoint
from src.training.epochs import DivergedError, EpochBatches, EpochEnd
from src.training.measurement import (
    Measured,
    epoch_metrics,
    final_metrics,
    measure,
    part_metrics,
)

CHECKPOINTS = Path("mlruns/checkpoints")


class State(StrEnum):
    """Where a trial stands."""

    COMPLETE = "COMPLETE"
    FAILED = "FAILED"


@dataclass(frozen=True)
class TrialResult:
    """What a trial came to.

    Attributes:
        state: COMPLETE, or FAILED where the configuration is infeasible.
        val_mae: The objective, years, at the best epoch; infinite where infeasible.
        metrics: Final scalars, as in MLflow; empty where infeasible.
        history: One record for each finished epoch.
        run_id: The run in MLflow.
        experiment_id: Its experiment there.
        infeasible: Why the configuration is infeasible, or empty.
    """

    state: State
    val_mae: float
    metrics: dict[str, float]
    history: list[dict[str, float]]
    run_id: str
    experiment_id: str
    infeasible: str = ""

    def summary(self) -> str:
        """Two or three lines for the terminal."""
        page = (
            "`mlflow ui` shows it at http://127.0.0.1:5000/#/experiments/"
            f"{self.experiment_id}/runs/{self.run_id}?workflowType=machine_learning"
        )
        if self.infeasible:
            return f"Infeasible: {self.infeasible}.\n{page}"
        metrics = self.metrics
        return (
            f"Validation MAE {self.val_mae:.2f} years (95 % interval "
            f"{metrics['best/val_mae_low']:.2f}–{metrics['best/val_mae_high']:.2f}) "
            f"in epoch {metrics['best/epoch']:.0f}, gap {metrics['best/gap']:+.2f}; "
            f"always guessing the median: {metrics['baseline/median_predictor_mae']:.2f}.\n{page}"
        )


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
    dataset = prepare(config.data)
    _check_test_part(config, dataset)
    name = f"{configuration_hash(config)}-{dataset.digest}"
    with _sigterm_interrupts(), open_checkpoint(CHECKPOINTS / config.study.name / name) as saved:
        if not config.fit.resume:
            saved.clear()
        progress = saved.progress()
        with trial_run(
            experiment=config.tracking.experiment,
            name=_run_name(config),
            tags=_tags(config, dataset),
            resume_id=progress.run_id if progress else None,
            system_metrics=config.tracking.system_metrics,
        ) as run:
            if progress is None:
                _log_start(run, config, dataset)
            try:
                regressor, progress = _fit(config, dataset, saved, progress, run)
            except DivergedError as error:
                run.set_infeasible(str(error))
                saved.clear()
                return TrialResult(
                    State.FAILED, math.inf, {}, [], run.id, run.experiment_id, str(error)
                )
            saved.restore_best(regressor, progress)
            metrics = _log_outcome(run, config, dataset, regressor, progress)
            saved.clear()
    return TrialResult(
        State.COMPLETE, metrics["best/val_mae"], metrics, progress.history,
        run.id, run.experiment_id,
    )  # fmt: skip


def _fit(
    config: Config, dataset: Dataset, saved: Checkpoint, before: Progress | None, run: Run
) -> tuple[keras.Model, Progress]:
    """Train to the end, from the start or from what was done before."""
    fit = config.fit
    train, val = dataset.part("train"), dataset.part("val")
    train_measured = train.subset(fit.train_eval_limit, config.data.split.seed)
    batches = TrainingBatches(train, config.data.batch_size, config.augmentation, config.seed)

    set_up(config.seed, fit.precision, fit.deterministic)
    regressor = build_regressor(config.model, config.data.image_size, float(train.ages.mean()))
    optimizer = build_optimizer(config.optimizer, config.schedule, len(batches), fit.epochs)
    regressor.compile(optimizer, loss=str(config.model.loss), jit_compile=fit.jit_compile)
    # Unbuilt, its variables would be made while Keras traces the step, which is then traced twice.
    regressor.optimizer.build(regressor.trainable_variables)

    progress = before or Progress(run.id, [], 0)
    if before:
        saved.restore(regressor)
        stderr.print(f"Going on after epoch {len(before.history)} of {fit.epochs}.")
        progress = Progress(run.id, before.history, before.best_epoch)
        run.log_epochs(progress.history)

    def finish_epoch(epoch: int, times: dict[str, float]) -> bool:
        nonlocal progress
        started = time.perf_counter()
        record = epoch_metrics(
            measure(regressor, train_measured, fit.eval_batch_size),
            measure(regressor, val, fit.eval_batch_size),
            str(config.model.loss),
        )
        if not np.isfinite(record["mae/val"]):
            raise DivergedError(epoch, len(batches), times["learning_rate"])
        measure_seconds = time.perf_counter() - started
        record |= times | {
            "epoch": epoch,
            "time/measure_seconds": measure_seconds,
            "time/epoch_seconds": times["time/train_seconds"] + measure_seconds,
        }
        history = [*progress.history, record]
        progress = Progress(run.id, history, _best_epoch(history))
        saved.save(regressor, progress)
        run.log_epochs(history)
        stderr.print(_epoch_line(history, fit.epochs))
        return _stops_early(progress, fit.early_stopping_patience)

    done = len(progress.history)
    if done < fit.epochs and not _stops_early(progress, fit.early_stopping_patience):
        epoch_end = EpochEnd(fit.epochs, len(train), finish_epoch)
        with epoch_end.bar:
            regressor.fit(
                EpochBatches(batches, first_epoch=done),
                initial_epoch=done, epochs=fit.epochs, shuffle=False, verbose=0,
                callbacks=[epoch_end],
            )  # fmt: skip
    return regressor, progress


def _best_epoch(history: list[dict[str, float]]) -> int:
    """The first epoch with the lowest validation MAE, from 1."""
    return int(np.argmin([record["mae/val"] for record in history])) + 1


def _stops_early(progress: Progress, patience: int | None) -> bool:
    waited = len(progress.history) - progress.best_epoch
    return patience is not None and bool(progress.history) and waited >= patience


def _epoch_line(history: list[dict[str, float]], epochs: int) -> str:
    record = history[-1]
    settled = history[1:] or history
    typical = float(np.median([r["time/epoch_seconds"] for r in settled]))
    left = (epochs - len(history)) * typical
    return (
        f"epoch {len(history):>{len(str(epochs))}}/{epochs}"
        f"  train MAE {record['mae/train']:6.2f}  val MAE {record['mae/val']:6.2f}"
        f"  gap {record['mae/gap']:+6.2f}  {record['time/epoch_seconds']:5.0f} s"
        + (f"  ETA {_spell_seconds(left)}" if left else "")
    )


def _spell_seconds(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _run_name(config: Config) -> str:
    number = config.study.trial
    return f"trial {number}" if number is not None else configuration_hash(config)


def _tags(config: Config, dataset: Dataset) -> dict[str, str]:
    tags = {
        "study": config.study.name,
        "configuration_hash": configuration_hash(config),
        "data_digest": dataset.digest,
        "mlflow.source.git.commit": provenance.git_commit(),
    }
    if config.study.trial is not None:
        tags["trial"] = str(config.study.trial)
    return tags


def _log_start(run: Run, config: Config, dataset: Dataset) -> None:
    """Everything that is known before the first step."""
    run.log_params(
        flatten(config)
        | {"log10_learning_rate": f"{math.log10(config.optimizer.learning_rate):.4f}"}
        | {f"num_{name}": len(dataset.part(name)) for name in ("train", "val", "test")}
    )
    run.log_text(json.dumps(flatten(config), indent=2), "config.json")
    run.log_faces(
        dataset.faces[["file_name", "age", "split"]],
        source=str(dataset.root),
        name=str(config.data.layout),
        digest=dataset.digest,
    )
    run.log_table(dataset.findings, "audit.csv")
    run.log_text(provenance.packages(), "provenance/packages.txt")
    run.log_text(json.dumps(provenance.machine(), indent=2), "provenance/machine.json")
    run.log_text(provenance.git_diff() or "no difference\n", "provenance/git.diff")


def _log_outcome(
    run: Run, config: Config, dataset: Dataset, regressor: keras.Model, progress: Progress
) -> dict[str, float]:
    """Everything that is known at the end; the regressor has its best epoch's weights."""
    batch_size = config.fit.eval_batch_size
    parts = {"val": measure(regressor, dataset.part("val"), batch_size)}
    history, best_epoch = progress.history, progress.best_epoch
    train_ages = dataset.part("train").ages
    metrics = final_metrics(history, best_epoch, parts["val"], train_ages)
    if config.fit.evaluate_test:
        parts["test"] = measure(regressor, dataset.part("test"), batch_size)
        metrics |= part_metrics("test", parts["test"])
    for name, measured in parts.items():
        run.log_table(measured.table(), f"predictions/{name}.parquet")
        run.log_table(_by_age_band(measured), f"metrics/{name}_by_age_band.csv")
    title = _run_name(config)
    run.log_figure(figures.learning_curve(history, best_epoch, title), "figures/learning_curve.png")
    run.log_figure(
        figures.predicted_against_true(parts["val"], f"{title}, epoch {best_epoch}"),
        "figures/predicted_against_true.png",
    )
    if _keeps_model(run, config, dataset, metrics["best/val_mae"]):
        run.log_model(inference_model(regressor), config.data.image_size)
    run.log_final(metrics)
    return metrics


def _by_age_band(measured: Measured) -> pd.DataFrame:
    return pd.DataFrame(metrics_by_age_band(measured.part.ages, measured.predictions))


def _keeps_model(run: Run, config: Config, dataset: Dataset, val_mae: float) -> bool:
    if config.tracking.keep_model is KeepModel.best:
        return val_mae < best_val_mae(run.experiment_id, config.study.name, dataset.digest)
    return config.tracking.keep_model is KeepModel.all


def _check_test_part(config: Config, dataset: Dataset) -> None:
    if config.fit.evaluate_test and len(dataset.part("test")) == 0:
        raise UsageError(
            "This split has no test part. Received: fit.evaluate_test=true "
            f"data.split.method={config.data.split.method} "
            f"data.split.test_fraction={config.data.split.test_fraction}. "
            "Fix: data.split.test_fraction=0.2, or fit.evaluate_test=false"
        )


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """While the body runs, SIGTERM does what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
