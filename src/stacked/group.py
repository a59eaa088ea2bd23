"""Training of a group of trials with stacked heads."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import psutil

from src.config import Config, stack_key
from src.config.study_schema import Figures
from src.core import names
from src.core.console import stderr
from src.core.errors import EnvironmentFaultError
from src.core.signals import signals_interrupt
from src.data import Dataset
from src.stacked.finish import finish
from src.stacked.training import train
from src.stacked.trial import StackedTrial, failing_alone
from src.tracking.checkpoints import checkpoint_folder
from src.training import TrialResult, run_trial
from src.training.activations import ActivationBatches, Inputs
from src.training.checkpoint import Checkpoint, open_checkpoint
from src.training.program import Program
from src.training.start import finished_epochs, open_runs, prepare_data, start_model
from src.training.trial_logging import log_start

_FEW = 16  # trials; in larger groups `tracking.figures=all` means `best`
_MAX_BYTES = 4e9  # of the heads of a stack
_NUM_COPIES = 10  # of the weights: themselves, gradients, Adam's two, the latest and best states
_NUM_INPUTS = 3  # of a batch, if its seed is used once: activations, draws, dropped activations


def train_stacked(configs: Sequence[Config]) -> list[TrialResult | Exception]:
    """Trains and measures the configurations of one group, see `config.stack_group`.

    If there is no room for their activations they are trained one after another.

    Returns:
        The result of each configuration, in their order; the exception of one that failed alone.

    Raises:
        UsageError: If the data or the weights are not usable as configured.
        MissingFileError: If data or weights are missing.
        EnvironmentFaultError: If the disk is full.
        KeyboardInterrupt: If it is interrupted; all trials that have not ended are WAITING, and
            resume from their last saved epoch when they are started again, alone or stacked.
    """
    started = time.perf_counter()
    with signals_interrupt():
        dataset = prepare_data(configs[0])
        model = start_model(configs[0], dataset)
        is_tensorflow = keras.backend.backend() == "tensorflow"
        if not is_tensorflow:
            stderr.print("One after another: stacked heads need KERAS_BACKEND=tensorflow.")
        if not is_tensorflow or not isinstance(model[1].batches, ActivationBatches):
            return [_run_alone(config) for config in configs]
        with contextlib.ExitStack() as stack:
            opened: dict[int, tuple[Config, Checkpoint]] = {}
            results: dict[int, TrialResult | Exception] = {}
            for index, config in enumerate(configs):
                folder = checkpoint_folder(config, dataset.digest)
                try:
                    opened[index] = config, stack.enter_context(open_checkpoint(folder))
                except EnvironmentFaultError as error:  # another process runs the trial
                    results[index] = error
            trials = _train_group(list(opened.values()), dataset, model, started)
            results |= {i: t.result for i, t in zip(opened, trials, strict=True) if t.result}
        return [results[index] for index in range(len(configs))]


def _run_alone(config: Config) -> TrialResult | Exception:
    try:
        return run_trial(config)
    except Exception as error:
        return error


def _train_group(
    opened: Sequence[tuple[Config, Checkpoint]],
    dataset: Dataset,
    model: tuple[Program, Inputs],
    started: float,
) -> list[StackedTrial]:
    """Trains the configurations whose checkpoints this process has opened.

    Args:
        opened: Configurations with their checkpoints.
        dataset: Their faces.
        model: See `start_model`, for the first of them.
        started: Time at which the group was started.
    """
    if not opened:
        return []
    histories = [finished_epochs(config, checkpoint) for config, checkpoint in opened]
    configs = [config for config, _ in opened]
    tags = {names.STACKED: str(len(opened))}
    with open_runs(configs, dataset.digest, histories, tags) as runs:
        trials = []
        for (config, checkpoint), run, history in zip(opened, runs, histories, strict=True):
            trial = StackedTrial(config, dataset, checkpoint, run, history)
            if len(opened) > _FEW and trial.draws is Figures.all:
                trial.draws = Figures.best
            with failing_alone(trial):
                log_start(trial)
            trials.append(trial)
        stderr.print(f"{len(trials)} trials with stacked heads.")
        shared_seconds = (time.perf_counter() - started) / len(trials)
        stacks = defaultdict(list)
        for trial in trials:
            if trial.result is None:
                stacks[stack_key(trial.config), trial.num_inherited].append(trial)
        for number, members in enumerate(stacks.values()):
            program, inputs = start_model(members[0].config, dataset) if number else model
            if not isinstance(inputs.batches, ActivationBatches):
                raise EnvironmentFaultError(
                    "The activations that trials share were evicted during training, and there is "
                    "no room for them. Fix: free some space, and the same command again"
                )
            for portion in _that_fit_into_memory(members, program):
                began = time.perf_counter() - shared_seconds * len(portion)
                train(portion, program, inputs)
                finish(portion, program, inputs, began)
    return trials


def _that_fit_into_memory(
    trials: Sequence[StackedTrial], program: Program
) -> Iterator[list[StackedTrial]]:
    """Yields the trials in portions that fit into memory; usually one."""
    num_weights = sum(int(np.prod(variable.shape)) for variable in program.weights)
    num_inputs = int(np.prod(program.learner.input.shape[1:]))
    num_inputs *= trials[0].config.data.batch_size
    limit = min(_MAX_BYTES, psutil.virtual_memory().available / 4)
    size = max(1, int(limit // (4 * (_NUM_COPIES * num_weights + _NUM_INPUTS * num_inputs))))
    for start in range(0, len(trials), size):
        yield list(trials[start : start + size])
