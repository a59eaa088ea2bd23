"""Keras's optimizers and learning-rate schedules."""

import dataclasses

import keras

from src.config.schema import OptimizerConfig, ScheduleConfig

_NUMBERS = ("initial_learning_rate", "decay_steps", "alpha", "warmup_target", "warmup_steps")


class LiveCosineDecay(keras.optimizers.schedules.CosineDecay):
    """Keras's cosine decay with its numbers in variables: a traced step takes other numbers."""

    def __init__(self, peak: float, warmup_steps: int, decay_steps: int, alpha: float) -> None:
        warms_up = warmup_steps > 0
        super().__init__(
            initial_learning_rate=0.0 if warms_up else peak,
            decay_steps=decay_steps,
            alpha=alpha,
            warmup_target=peak if warms_up else None,
            warmup_steps=warmup_steps,
        )
        for name in _NUMBERS:
            if getattr(self, name) is not None:
                variable = keras.Variable(getattr(self, name), dtype="float32", trainable=False)
                setattr(self, name, variable)

    def become(self, other: "LiveCosineDecay") -> None:
        """Takes over the numbers of another schedule, which warms up if this one does."""
        for name in _NUMBERS:
            if getattr(self, name) is not None:
                getattr(self, name).assign(getattr(other, name))


def build_optimizer(
    optimizer: OptimizerConfig, rate: float | keras.optimizers.schedules.LearningRateSchedule
) -> keras.Optimizer:
    """Returns the configured optimizer.

    Args:
        optimizer: Class name and arguments, as Keras spells them.
        rate: Learning rate or schedule in place of the configured number, see `learning_rate`.
    """
    arguments = dataclasses.asdict(optimizer)
    optimizer_class = getattr(keras.optimizers, arguments.pop("name"))
    return optimizer_class(**arguments | {"learning_rate": rate})


def learning_rate(
    peak: float, schedule: ScheduleConfig, steps_per_epoch: int, epochs: int
) -> float | LiveCosineDecay:
    """Returns a number if the rate is constant, else a schedule.

    Args:
        peak: Learning rate after the warm-up.
        schedule: Warm-up and decay.
        steps_per_epoch: Batches an epoch.
        epochs: Length of the whole schedule.
    """
    if schedule.warmup_epochs == 0 and schedule.final_fraction == 1:
        return peak
    warmup_steps = round(schedule.warmup_epochs * steps_per_epoch)
    decay_steps = max(1, steps_per_epoch * epochs - warmup_steps)
    return LiveCosineDecay(peak, warmup_steps, decay_steps, schedule.final_fraction)
