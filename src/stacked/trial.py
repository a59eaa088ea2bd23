"""One of the trials whose heads are stacked, and the state of its head.

A head's state has two forms: as a head of a stack, and as a single program and its checkpoint have
it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import keras
import numpy as np

from src.config import Config
from src.stacked.heads import State, initial_state, named_variables, weights_of
from src.training import TrialResult
from src.training.active import ActiveTrial
from src.training.program import Program


@dataclass
class StackedTrial(ActiveTrial):
    """One of the trials whose heads are stacked. It has no pruner.

    Attributes:
        latest: State of its head after the latest epoch; empty after its end.
        best: State of its head after the best epoch; empty after its end.
        predictions: Predictions of the best epoch for the measured faces, by `train` and `val`;
            empty if that was before an interruption, and after its end.
        result: Its result, or the exception of a trial that failed alone; None before its end.
    """

    latest: State = field(default_factory=dict)
    best: State = field(default_factory=dict)
    predictions: dict[str, np.ndarray] = field(default_factory=dict)
    result: TrialResult | Exception | None = None

    def end(self, result: TrialResult | Exception) -> None:
        """Stores the result, and frees the states."""
        self.result = result
        self.latest, self.best, self.predictions = {}, {}, {}


@contextmanager
def failing_alone(trial: StackedTrial) -> Iterator[None]:
    """Ends the trial with the exception that the body raises; the other trials continue."""
    try:
        yield
    except Exception as error:
        trial.end(error)
        trial.run.fail()


def load_states(trials: Sequence[StackedTrial], program: Program) -> None:
    """Loads each trial's initial state or checkpoint. A damaged one fails its trial only."""
    fresh: dict[int, State] = {}
    shape = tuple(program.learner.input.shape[1:])
    for trial in trials:
        if trial.num_inherited:
            with failing_alone(trial):
                _restore(trial, program)
            continue
        seed = trial.config.seed
        if seed not in fresh:
            mean_label = float(trial.dataset.part("train").labels.mean())
            fresh[seed] = initial_state(trial.config, mean_label, shape)
        trial.latest = trial.best = fresh[seed]


def _restore(trial: StackedTrial, program: Program) -> None:
    history, checkpoint = trial.history, trial.checkpoint
    if trial.num_inherited < trial.config.fit.epochs:
        checkpoint.restore(program, history)
        trial.latest = {
            name: keras.ops.convert_to_numpy(variable) for name, variable in _named(program)
        }
    else:  # its last checkpoint has the weights only
        checkpoint.restore_weights(program, history.kept_epoch)
        trial.latest = weights_of(program.learner)
    checkpoint.restore_weights(program, history.best_epoch)
    trial.best = weights_of(program.learner)


def arrays_of(
    program: Program, state: State, config: Config
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns a head's state as a program's `weights` and `other_variables` have it."""
    named = {id(variable): name for name, variable in _named(program)}

    def value(variable: keras.Variable) -> np.ndarray:
        if id(variable) in named:
            default = np.zeros(variable.shape, variable.dtype)  # of an optimizer before a step
            return np.reshape(state.get(named[id(variable)], default), variable.shape)
        rates = {"rate": config.model.dropout_rate, "learning_rate": config.optimizer.learning_rate}
        return np.asarray(rates[variable.name], variable.dtype)

    return list(map(value, program.weights)), list(map(value, program.other_variables))


def _named(program: Program) -> list[tuple[str, keras.Variable]]:
    """Returns the variables of a program by their names in the state of a head."""
    optimizer = program.fitted.optimizer
    rest = [each for each in optimizer.variables if each.name not in ("iteration", "learning_rate")]
    return [
        *named_variables(program.learner),
        ("optimizer/iteration", optimizer.iterations),
        *((f"optimizer/{index}", moment) for index, moment in enumerate(rest)),
    ]
