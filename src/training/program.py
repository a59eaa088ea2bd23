"""The model of a trial as a traced program: built once in a process, then started afresh."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from src.config import Config, program
from src.core.signals import whole_step
from src.model import (
    LiveCosineDecay,
    build_optimizer,
    build_regressor,
    divide,
    initialise,
    learning_rate,
    set_up,
)


@dataclass(frozen=True)
class Program:
    """A compiled model and its parts, which share their layers.

    Attributes:
        regressor: From pictures to years.
        frozen: From pictures to the activations where the learning layers begin; None where all
            layers learn.
        learner: From there to years; the regressor itself where all layers learn.
        fitted: What is compiled and trained: the learner where activations come from a cache,
            else the regressor.
    """

    regressor: keras.Model
    frozen: keras.Model | None
    learner: keras.Model
    fitted: keras.Model

    @classmethod
    def of_one(cls, regressor: keras.Model) -> "Program":
        """A compiled model of which all layers learn."""
        return cls(regressor, None, regressor, regressor)

    @property
    def weights(self) -> list[keras.Variable]:
        """What makes an epoch's model, less what is frozen."""
        return list(self.learner.weights)

    @property
    def other_variables(self) -> list[keras.Variable]:
        """All else that training changes: dropout's seeds, the optimizer's state."""
        weights = {id(variable) for variable in self.learner.weights}
        seeds = [each for each in self.learner.variables if id(each) not in weights]
        return [*seeds, *self.fitted.optimizer.variables]


class _WholeStep:
    """A training step as a `whole_step`, but for the first, which is traced for half a minute."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self._step = step
        self._is_traced = False

    def __call__(self, *arguments: Any) -> Any:
        if self._is_traced:
            with whole_step():
                return self._step(*arguments)
        result = self._step(*arguments)
        self._is_traced = True
        return result


@dataclass(frozen=True)
class _Kept:
    key: object
    program: Program
    optimizer_state: list[np.ndarray | None]  # as it was made; None for zeros


_kept: list[_Kept] = []  # at most one: the latest


def start_program(
    config: Config, mean_age: float, steps_per_epoch: int, is_cached: bool
) -> Program:
    """A model that is ready to train, from the configuration's seed.

    TensorFlow takes half a minute to trace a ResNet50's first step. So the model of the latest
    trial stays in the process, and a trial that needs the same program (see `config.program`)
    gets it with its own initial weights, optimizer state, seeds, rates: to the same numbers, bit
    for bit, as in a process of its own.

    Args:
        config: The trial's.
        mean_age: Of the training faces, years.
        steps_per_epoch: Batches.
        is_cached: Whether the learning layers get activations from a cache.

    Raises:
        FileNotFoundError: If pretrained weights cannot be had.
        ValueError: If they do not fit.
    """
    fit = config.fit
    rate = learning_rate(
        config.optimizer.learning_rate, config.schedule, steps_per_epoch, fit.epochs
    )
    warms_up = isinstance(rate, LiveCosineDecay) and rate.warms_up  # a short one may have no step
    key = (program(config), is_cached, warms_up)
    for kept in _kept:
        if kept.key == key:
            initialise(kept.program.regressor, config.model, mean_age, config.seed)
            _restart_optimizer(kept, rate)
            return kept.program
    forget_kept_model()
    set_up(config.seed, fit.precision, fit.deterministic)
    regressor = build_regressor(config.model, config.data.image_size)
    initialise(regressor, config.model, mean_age, config.seed)
    frozen, learner = divide(regressor, config.model)
    fitted = learner if is_cached else regressor
    optimizer = build_optimizer(config.optimizer, config.schedule, steps_per_epoch, fit.epochs)
    fitted.compile(optimizer, loss=str(config.model.loss), jit_compile=fit.jit_compile)
    # Unbuilt, its variables would be made while Keras traces the step, which is then traced twice.
    fitted.optimizer.build(fitted.trainable_variables)
    fitted.make_train_function()
    fitted.train_function = _WholeStep(fitted.train_function)
    started = Program(regressor, frozen, learner, fitted)
    if keras.backend.backend() == "tensorflow":  # others bake a schedule's numbers in
        state = [_unless_zero(variable) for variable in fitted.optimizer.variables]
        _kept.append(_Kept(key, started, state))
    return started


def forget_kept_model() -> None:
    """Let the next trial of this process build and trace its own."""
    _kept.clear()


def _restart_optimizer(kept: _Kept, rate: float | LiveCosineDecay) -> None:
    """Give a used optimizer the state that a new one would have."""
    optimizer = kept.program.fitted.optimizer
    for variable, state in zip(optimizer.variables, kept.optimizer_state, strict=True):
        variable.assign(keras.ops.zeros_like(variable) if state is None else state)
    if isinstance(rate, LiveCosineDecay):
        getattr(optimizer, "inner_optimizer", optimizer)._learning_rate.become(rate)
    else:
        optimizer.learning_rate = rate


def _unless_zero(variable: keras.Variable) -> np.ndarray | None:
    value = keras.ops.convert_to_numpy(variable)
    return value if np.any(value) else None
