"""End of trials with stacked heads."""

import functools
import time
from collections.abc import Mapping, Sequence

from src.stacked.trial import StackedTrial, arrays_of, failing_alone
from src.training.activations import Inputs
from src.training.finish import finish_trial, keeps_checkpoint
from src.training.measurement import Measured
from src.training.program import Program


def finish(trials: Sequence[StackedTrial], program: Program, inputs: Inputs, began: float) -> None:
    """Logs each trial and ends its run, the best first: the models of the others are not kept.

    Args:
        trials: Trials that were trained together.
        program: A model of their shape.
        inputs: Inputs of any of them.
        began: Time at which these trials started.
    """
    has_best = False
    for trial in sorted((each for each in trials if each.result is None), key=_rank):
        config, objective = trial.config, trial.history.objective
        with failing_alone(trial):
            result = finish_trial(
                trial,
                program,
                functools.partial(_load_epoch, trial, program, inputs),
                lambda: (time.perf_counter() - began) / len(trials),
                may_be_best=not has_best or objective.epoch_metric is None,
            )
            keeps = keeps_checkpoint(config.fit, result)
            if keeps:
                best, _ = arrays_of(program, trial.best, config)
                latest = arrays_of(program, trial.latest, config)
                trial.checkpoint.write(*latest, trial.history, best)
            trial.run.close()
            if not keeps:
                trial.checkpoint.clear()
            trial.end(result)
            has_best = True


def _rank(trial: StackedTrial) -> tuple[bool, float]:
    costs = trial.history.costs
    if trial.infeasible or not costs:
        return True, 0.0
    return False, costs[-1] if trial.history.objective.keeps_last_epoch else min(costs)


def _load_epoch(
    trial: StackedTrial, program: Program, inputs: Inputs, epoch: int
) -> Mapping[str, Measured]:
    """Loads the best or the last epoch of a head into the program, see `LoadEpoch`."""
    is_best = epoch == trial.history.best_epoch
    values, _ = arrays_of(program, trial.best if is_best else trial.latest, trial.config)
    for variable, value in zip(program.weights, values, strict=True):
        variable.assign(value)
    if is_best and trial.predictions:
        parts = inputs.parts
        return {name: Measured(parts[name], of) for name, of in trial.predictions.items()}
    return inputs.measure(program.fitted, trial.config.fit.eval_batch_size)
