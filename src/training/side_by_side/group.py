"""A group of trials, from their configurations to their ends."""

import contextlib
import time
from collections.abc import Sequence

import keras

from src.config import Config, run_name
from src.core.console import stderr
from src.core.errors import EnvironmentFaultError
from src.core.signals import signals_interrupt
from src.data import Dataset, prepare
from src.model import fetch_weights
from src.tracking import Runs, Start, trial_runs
from src.tracking.checkpoints import checkpoint_folder
from src.training import trial_logging
from src.training.activations import ActivationInputs
from src.training.checkpoint import Checkpoint, open_checkpoint
from src.training.history import History
from src.training.result import TrialResult
from src.training.side_by_side.ending import finish
from src.training.side_by_side.stacks import in_stacks, that_fit_into_memory
from src.training.side_by_side.training import train
from src.training.side_by_side.trial import SideTrial
from src.training.trial import (
    refuse_missing_test_part,
    run_trial,
    start_model,
    what_was_done,
)


def run_side_by_side(configs: Sequence[Config]) -> list[TrialResult | Exception]:
    """Train and measure the configurations of one group (see `config.side_by_side`).

    Where there is no room for their activations, one after the other, as a line then says.

    Returns:
        What each came to, in their order; the exception where one failed by itself.

    Raises:
        ValueError: If the data or the weights are not usable as configured.
        FileNotFoundError: If data or weights are missing.
        RuntimeError: If the disk is full.
        KeyboardInterrupt: If it is interrupted; all that have not ended are WAITING, and go on
            from their last saved epoch when they are started again, alone or side by side.
    """
    started = time.perf_counter()
    first = configs[0]
    with signals_interrupt():
        if first.model.weights is not None:
            fetch_weights(first.model.weights)  # before anything that takes time
        dataset = prepare(first.data)
        refuse_missing_test_part(first, dataset)
        program, inputs = start_model(first, dataset)
        is_tensorflow = keras.backend.backend() == "tensorflow"
        if not is_tensorflow:
            stderr.print("One by one: heads train side by side on KERAS_BACKEND=tensorflow only.")
        if not is_tensorflow or not isinstance(inputs, ActivationInputs):
            return [_run_alone(config) for config in configs]
        results: dict[int, TrialResult | Exception] = {}
        with contextlib.ExitStack() as stack:
            saved: dict[int, Checkpoint] = {}
            for place, config in enumerate(configs):
                folder = checkpoint_folder(config, dataset.digest)
                try:
                    saved[place] = stack.enter_context(open_checkpoint(folder))
                except EnvironmentFaultError as error:  # another process runs it
                    results[place] = error
            ours = [configs[place] for place in saved]
            before = [what_was_done(c.fit, s) for c, s in zip(ours, saved.values(), strict=True)]
            runs = stack.enter_context(_open_runs(ours, dataset, before))
            trials = [
                SideTrial(config, one, run, History(run.id, done.epochs if done else ()),
                       len(done) if done else 0, {}, {}, {})
                for config, one, done, run in zip(
                    ours, saved.values(), before, runs.all, strict=True
                )
            ]  # fmt: skip
            _log_starts(trials, dataset)
            stderr.print(f"{len(trials)} trials side by side.")
            shared_seconds = (time.perf_counter() - started) / max(1, len(trials))
            for number, members in enumerate(in_stacks(trials)):
                if number:
                    program, inputs = start_model(members[0].config, dataset)
                if not isinstance(inputs, ActivationInputs):
                    raise EnvironmentFaultError(
                        "The activations that trials share were evicted meanwhile, and there is no "
                        "room for them any more. Fix: free some space, and the same command again"
                    )
                for portion in that_fit_into_memory(members, program):
                    began = time.perf_counter() - shared_seconds * len(portion)
                    train(portion, runs, program, inputs, dataset)
                    finish(portion, runs, program, inputs, dataset, began)
            results |= {
                place: trial.result
                for place, trial in zip(saved, trials, strict=True)
                if trial.result is not None
            }
    return [results[place] for place in range(len(configs))]


def _run_alone(config: Config) -> TrialResult | Exception:
    try:
        return run_trial(config)
    except Exception as error:
        return error


def _open_runs(
    configs: Sequence[Config], dataset: Dataset, before: Sequence[History | None]
) -> contextlib.AbstractContextManager[Runs]:
    starts = [
        Start(
            run_name(config),
            trial_logging.tags(config, dataset.digest) | {"side_by_side": str(len(configs))},
            config.study.run_id or (done.run_id if done else None),
        )
        for config, done in zip(configs, before, strict=True)
    ]
    tracking = configs[0].tracking
    return trial_runs(tracking.experiment, starts, tracking.system_metrics)


def _log_starts(trials: Sequence[SideTrial], dataset: Dataset) -> None:
    for trial in trials:
        if trial.run.is_new:
            trial_logging.log_start(trial.run, trial.config, dataset)
        trial.run.log_epochs(trial.history.epochs)
