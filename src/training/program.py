"""Model of a trial as a traced program, which later trials of the process use again."""

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from src.config import Config, program
from src.core.signals import whole_step
from src.model.initial import initialise
from src.model.optimizer import LiveCosineDecay, build_optimizer, learning_rate
from src.model.regressor import build_regressor, divide
from src.model.runtime import set_up


@dataclass(frozen=True)
class Program:
    """A compiled model and its parts, which share their layers.

    Attributes:
        regressor: From pictures to the output.
        frozen: From pictures to the activations where the learning layers begin; None if all
            layers learn.
        learner: From there to the output; the regressor itself if all layers learn.
        fitted: The compiled model: the learner if activations come from a cache, else the
            regressor.
    """

    regressor: keras.Model
    frozen: keras.Model | None
    learner: keras.Model
    fitted: keras.Model

    @property
    def weights(self) -> list[keras.Variable]:
        """The weights of an epoch's model, without frozen layers."""
        return list(self.learner.weights)

    @property
    def other_variables(self) -> list[keras.Variable]:
        """The other variables that training changes: dropout's seeds, the optimizer's state."""
        weights = {id(variable) for variable in self.learner.weights}
        seeds = [each for each in self.learner.variables if id(each) not in weights]
        return [*seeds, *self.fitted.optimizer.variables]


# At most the latest one, with its key and the initial state of its optimizer; None for zeros.
_kept: list[tuple[object, Program, list[np.ndarray | None]]] = []


def start_program(
    config: Config, mean_label: float, steps_per_epoch: int, is_cached: bool
) -> Program:
    """Returns a model that is ready to train, initialised from the configuration's seed.

    TensorFlow takes half a minute to trace a ResNet50's first step. Therefore the model of the
    latest trial stays in the process, and a trial that needs the same program (see
    `config.program`) gets it with its own initial weights, optimizer state, seeds and rates. Its
    numbers are the same, bit for bit, as in a process of its own.

    Args:
        config: The trial's.
        mean_label: Mean label of the training faces.
        steps_per_epoch: Number of batches of an epoch.
        is_cached: Whether the learning layers get activations from a cache.

    Raises:
        MissingFileError: If pretrained weights are not available.
        UsageError: If they do not fit.
    """
    fit = config.fit
    rate = learning_rate(
        config.optimizer.learning_rate, config.schedule, steps_per_epoch, fit.epochs
    )
    warms_up = getattr(rate, "warmup_target", None) is not None
    key = (program(config), config.target.output, is_cached, warms_up)
    for kept_key, kept, optimizer_state in _kept:
        if kept_key == key:
            initialise(kept.regressor, config.model, mean_label, config.seed)
            _restart_optimizer(kept.fitted.optimizer, optimizer_state, rate)
            return kept
    forget_kept_model()
    set_up(config.seed, fit.precision, fit.deterministic)
    regressor = build_regressor(config.model, config.data.image_size, config.target)
    initialise(regressor, config.model, mean_label, config.seed)
    frozen, learner = divide(regressor, config.model)
    fitted = learner if is_cached else regressor
    optimizer = build_optimizer(config.optimizer, rate)
    fitted.compile(optimizer, loss=str(config.model.loss), jit_compile=fit.jit_compile)
    # Otherwise Keras would create its variables while it traces the step, and trace it twice.
    fitted.optimizer.build(fitted.trainable_variables)
    fitted.make_train_function()
    fitted.train_function = _in_whole_steps(fitted.train_function)
    started = Program(regressor, frozen, learner, fitted)
    if keras.backend.backend() == "tensorflow":  # other backends compile a schedule's numbers
        values = map(keras.ops.convert_to_numpy, fitted.optimizer.variables)
        state = [value if np.any(value) else None for value in values]
        _kept.append((key, started, state))
    return started


def forget_kept_model() -> None:
    """Makes the next trial of this process build and trace its own model."""
    _kept.clear()


def _in_whole_steps(step: Callable[..., Any]) -> Callable[..., Any]:
    """Makes each call a `whole_step`, except for the first, whose trace takes half a minute."""
    calls = itertools.count()

    def call(*arguments: Any) -> Any:
        with whole_step() if next(calls) else contextlib.nullcontext():
            return step(*arguments)

    return call


def _restart_optimizer(
    optimizer: keras.Optimizer, initial: list[np.ndarray | None], rate: float | LiveCosineDecay
) -> None:
    """Resets a used optimizer to its initial state."""
    for variable, state in zip(optimizer.variables, initial, strict=True):
        variable.assign(keras.ops.zeros_like(variable) if state is None else state)
    if isinstance(rate, LiveCosineDecay):
        getattr(optimizer, "inner_optimizer", optimizer)._learning_rate.become(rate)
    else:
        optimizer.learning_rate = rate
