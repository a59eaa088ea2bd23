"""What trials side by side have come to, written down."""

import time
from collections.abc import Sequence

import numpy as np

from src.data import Dataset
from src.tracking import Runs
from src.training import trial_logging
from src.training.activations import Inputs
from src.training.measurement import Measured
from src.training.program import Program
from src.training.result import TrialResult
from src.training.side_by_side.states import arrays_of
from src.training.side_by_side.trial import SideTrial
from src.training.trial import can_be_promoted

_NUM_ENDED_AT_ONCE = 16  # trials whose ends are written in one transaction


def finish(
    trials: Sequence[SideTrial], runs: Runs, program: Program, inputs: Inputs, dataset: Dataset,
    began: float,
) -> None:  # fmt: skip
    """Log what each trial came to and end its run, the best first: of later ones no model stays."""
    alive = [trial for trial in trials if not isinstance(trial.result, Exception)]
    ranked = sorted(
        alive, key=lambda t: (t.result is not None, min(t.history.curve, default=np.inf))
    )
    portions = [ranked[:1]] + [
        ranked[place : place + _NUM_ENDED_AT_ONCE]
        for place in range(1, len(ranked), _NUM_ENDED_AT_ONCE)
    ]
    has_best = False
    for portion in portions:
        for trial in portion:
            seconds = (time.perf_counter() - began) / len(trials)
            try:
                trial.result = _finish_one(
                    trial, program, inputs, dataset, seconds, may_be_best=not has_best
                )
                has_best = True
            except Exception as error:
                trial.result = error
                runs.fail([trial.run])
        runs.close([t.run for t in portion if isinstance(t.result, TrialResult)])
        for trial in portion:
            trial.latest, trial.best, trial.predictions = {}, {}, {}  # needed no more, and many
            result = trial.result
            if isinstance(result, TrialResult) and not can_be_promoted(trial.config.fit, result):
                trial.saved.clear()


def _finish_one(
    trial: SideTrial, program: Program, inputs: Inputs, dataset: Dataset, seconds: float,
    may_be_best: bool,
) -> TrialResult:  # fmt: skip
    run, config, result = trial.run, trial.config, trial.result
    if not isinstance(result, TrialResult):
        best, _ = arrays_of(program, trial.best, config)
        for variable, value in zip(program.weights, best, strict=True):
            variable.assign(value)
        parts = inputs.parts
        measured = {
            name: Measured(parts[name], values) for name, values in trial.predictions.items()
        } or inputs.measure(program.fitted, config.fit.eval_batch_size)
        metrics = trial_logging.log_outcome(
            run, config, dataset, program, measured, trial.history, may_be_best
        )
        result = TrialResult.of_measured(run, trial.history, metrics)
        if can_be_promoted(config.fit, result):
            latest = arrays_of(program, trial.latest, config)
            trial.saved.write(*latest, trial.history, best)
    trial_logging.log_duration(
        run, trial.history, trial.history.epochs[: trial.num_inherited], seconds
    )
    run.describe(result.headline())
    return result
