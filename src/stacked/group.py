"""Training of a group of trials with stacked heads."""

import contextlib
import time
from collections.abc import Sequence

import keras

from src.config import Config
from src.core import names
from src.core.console import stderr
from src.core.errors import EnvironmentFaultError
from src.core.signals import signals_interrupt
from src.data import Dataset
from src.stacked.finish import finish
from src.stacked.stacks import in_stacks, that_fit_into_memory
from src.stacked.training import train
from src.stacked.trial import StackedTrial, failing_alone
from src.tracking import Start, trial_runs
from src.tracking.checkpoints import checkpoint_folder
from src.training import TrialResult, run_trial
from src.training.activations import ActivationBatches, Inputs
from src.training.checkpoint import Checkpoint, open_checkpoint
from src.training.program import Program
from src.training.start import finished_epochs, prepare_data, run_start, start_model, start_trial


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
            opened = [_open_checkpoint(stack, config, dataset) for config in configs]
            ours = [
                (config, checkpoint)
                for config, checkpoint in zip(configs, opened, strict=True)
                if isinstance(checkpoint, Checkpoint)
            ]
            trials = iter(_train_group(ours, dataset, model, started))
            results = [
                next(trials).result if isinstance(each, Checkpoint) else each for each in opened
            ]
        return [result for result in results if result is not None]


def _run_alone(config: Config) -> TrialResult | Exception:
    try:
        return run_trial(config)
    except Exception as error:
        return error


def _open_checkpoint(
    stack: contextlib.ExitStack, config: Config, dataset: Dataset
) -> Checkpoint | EnvironmentFaultError:
    """Returns the trial's checkpoint, or the error if another process runs the trial."""
    try:
        return stack.enter_context(open_checkpoint(checkpoint_folder(config, dataset.digest)))
    except EnvironmentFaultError as error:
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
    starts = []
    for (config, _), history in zip(opened, histories, strict=True):
        start = run_start(config, dataset.digest, history)
        tags = {**start.tags, names.STACKED: str(len(opened))}
        starts.append(Start(start.name, tags, start.resume_id))
    tracking = opened[0][0].tracking
    with trial_runs(tracking.experiment, starts, tracking.system_metrics) as runs:
        trials = []
        for (config, checkpoint), run, history in zip(opened, runs.all, histories, strict=True):
            trial = StackedTrial(config, dataset, checkpoint, run, history)
            with failing_alone(trial, runs):
                start_trial(trial)
            trials.append(trial)
        stderr.print(f"{len(trials)} trials with stacked heads.")
        shared_seconds = (time.perf_counter() - started) / len(trials)
        stacks = in_stacks([trial for trial in trials if trial.result is None])
        for number, members in enumerate(stacks):
            program, inputs = start_model(members[0].config, dataset) if number else model
            if not isinstance(inputs.batches, ActivationBatches):
                raise EnvironmentFaultError(
                    "The activations that trials share were evicted during training, and there is "
                    "no room for them. Fix: free some space, and the same command again"
                )
            for portion in that_fit_into_memory(members, program):
                began = time.perf_counter() - shared_seconds * len(portion)
                train(portion, runs, program, inputs)
                finish(portion, runs, program, inputs, began, num_stacked=len(trials))
    return trials
