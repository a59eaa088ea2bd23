"""A head's state, as a lane of a stack has it and as a lone program and its checkpoint have it."""

from collections.abc import Sequence

import keras
import numpy as np

from src.config import Config
from src.core.errors import EnvironmentFaultError
from src.model.stacked import State, initial_state, named_variables, weights_of
from src.tracking import Runs
from src.training.program import Program
from src.training.side_by_side.trial import SideTrial


def load_states(trials: Sequence[SideTrial], runs: Runs, program: Program, mean_age: float) -> None:
    """What each trial starts from: its seed, or its checkpoint. A damaged one fails its trial."""
    fresh: dict[int, State] = {}
    shape = tuple(program.learner.input.shape[1:])
    for trial in trials:
        if trial.num_inherited:
            try:
                if trial.num_inherited < trial.config.fit.epochs:
                    trial.saved.restore(program, trial.history)
                    trial.latest = state_of(program)
                trial.saved.restore_best(program, trial.history)
                trial.best = weights_of(program.learner)
                trial.latest = trial.latest or trial.best
            except EnvironmentFaultError as error:
                trial.result = error
                runs.fail([trial.run])
            continue
        seed = trial.config.seed
        if seed not in fresh:
            fresh[seed] = initial_state(trial.config.model, mean_age, shape, seed)
        trial.latest = trial.best = fresh[seed]


def state_of(program: Program) -> State:
    """A lone program's state as a lane of a stack has it."""
    state = weights_of(program.learner)
    iteration, moments = _optimizer_parts(program)
    state["optimizer/iteration"] = keras.ops.convert_to_numpy(iteration)
    for place, moment in enumerate(moments):
        state[f"optimizer/{place}"] = keras.ops.convert_to_numpy(moment)
    return state


def arrays_of(
    program: Program, state: State, config: Config
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A lane's state as a lone program's `weights` and `other_variables` have it."""
    names = {id(variable): name for name, variable in named_variables(program.learner)}
    iteration, moments = _optimizer_parts(program)
    names[id(iteration)] = "optimizer/iteration"
    names |= {id(moment): f"optimizer/{place}" for place, moment in enumerate(moments)}

    def value(variable: keras.Variable) -> np.ndarray:
        if id(variable) in names:
            default = np.zeros(variable.shape, variable.dtype)  # an optimizer that made no step
            return np.reshape(state.get(names[id(variable)], default), variable.shape)
        rates = {"rate": config.model.dropout_rate, "learning_rate": config.optimizer.learning_rate}
        return np.asarray(rates[variable.name], variable.dtype)

    return list(map(value, program.weights)), list(map(value, program.other_variables))


def _optimizer_parts(program: Program) -> tuple[keras.Variable, list[keras.Variable]]:
    """The number of steps, and what is kept for each parameter, in Keras's order."""
    optimizer = program.fitted.optimizer
    rest = [each for each in optimizer.variables if each.name not in ("iteration", "learning_rate")]
    return optimizer.iterations, rest
