"""Duration of a configuration, estimated from a few of its steps."""

import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from src.config import Config
from src.data import prepare
from src.training.activations import Inputs
from src.training.checkpoint import Checkpoint
from src.training.history import History
from src.training.measurement import measure
from src.training.program import Program
from src.training.start import start_model

_NUM_STEPS = 6  # after the first, which traces the model
_NUM_BATCHES = 3  # measured, after the first
_END_SECONDS = 3.0  # tables and figures of a trial; measured on 2 cores, without a model


@dataclass(frozen=True)
class Timing:
    """Duration of a trial of one shape.

    Attributes:
        start_seconds: From the start of its process to the end of its first step and of its first
            measurement, which are both traced.
        warm_start_seconds: The same in a process that has run a trial of the same program.
        epoch_seconds: Training, measuring and saving.
        end_seconds: From its last epoch to the end of its process.
        state_bytes: Size of its checkpoint.
        model_bytes: Size of its model, if that is kept.
    """

    start_seconds: float
    warm_start_seconds: float
    epoch_seconds: float
    end_seconds: float
    state_bytes: float
    model_bytes: float


def time_trial(config: Config) -> Timing:
    """Trains a few steps of a trial, without a record, and estimates its duration.

    Raises:
        UsageError: If the data is not usable as configured.
        MissingFileError: If data or weights are missing.
    """
    fit = config.fit
    first_seconds, program, inputs = _start(config)
    start_seconds = time.time() - psutil.Process().create_time()
    started = time.perf_counter()
    again_seconds, program, inputs = _start(config)
    warm_start_seconds = time.perf_counter() - started
    if program.fitted is not program.regressor:  # it has filled a cache for all trials
        start_seconds -= max(0, first_seconds - again_seconds)

    batches = inputs.batches
    steps = []
    for number in range(_NUM_STEPS):
        batch = batches.batch(1, number % len(batches))
        started = time.perf_counter()
        program.fitted.train_on_batch(*batch)
        steps.append(time.perf_counter() - started)

    sample = inputs.parts["val"].subset(fit.eval_batch_size, seed=0)
    started = time.perf_counter()
    for _ in range(_NUM_BATCHES):
        measure(program.fitted, sample, fit.eval_batch_size)
    # Each batch is padded to the same size, so a part costs whole batches.
    batch_seconds = (time.perf_counter() - started) / _NUM_BATCHES
    # After each epoch, and once more at the end.
    num_batches = sum(math.ceil(len(part) / fit.eval_batch_size) for part in inputs.parts.values())

    with tempfile.TemporaryDirectory(dir=config.data.cache_dir) as folder:
        started = time.perf_counter()
        Checkpoint(Path(folder)).save(program, History("", ({"mae/val": 0.0},)))
        save_seconds = time.perf_counter() - started
        sizes = {file.stem: file.stat().st_size for file in Path(folder).glob("*.npy")}
    return Timing(
        start_seconds=start_seconds,
        warm_start_seconds=warm_start_seconds,
        epoch_seconds=median(steps) * len(batches) + batch_seconds * num_batches + save_seconds,
        end_seconds=_END_SECONDS + batch_seconds * num_batches,
        state_bytes=sizes["last"] + 2 * sizes["weights-1"],  # of the last epoch, and the best
        model_bytes=sizes["weights-1"],
    )


def _start(config: Config) -> tuple[float, Program, Inputs]:
    """Trains a first step and measures the first faces; returns the seconds before the step too."""
    started = time.perf_counter()
    program, inputs = start_model(config, prepare(config.data, config.target))
    seconds = time.perf_counter() - started
    program.fitted.train_on_batch(*inputs.batches.batch(0, 0))
    size = config.fit.eval_batch_size
    measure(program.fitted, inputs.parts["val"].subset(size, seed=0), size)
    return seconds, program, inputs
