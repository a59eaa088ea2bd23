"""Keras's optimizers and learning-rate schedules, by their own names."""

import dataclasses

import keras

from src.config.schema import OptimizerConfig, ScheduleConfig


def build_optimizer(
    optimizer: OptimizerConfig, schedule: ScheduleConfig, steps_per_epoch: int, epochs: int
) -> keras.Optimizer:
    """The optimizer that the configuration names, with its schedule inside.

    Args:
        optimizer: Class name and arguments, as Keras spells them.
        schedule: Warm-up and decay.
        steps_per_epoch: Batches an epoch.
        epochs: Length of the whole schedule.
    """
    arguments = dataclasses.asdict(optimizer)
    name = arguments.pop("name")
    arguments["learning_rate"] = _learning_rate(
        optimizer.learning_rate, schedule, steps_per_epoch, epochs
    )
    return getattr(keras.optimizers, name)(**arguments)


def _learning_rate(
    peak: float, schedule: ScheduleConfig, steps_per_epoch: int, epochs: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A number where it never changes. A cosine that ends at its peak is a constant."""
    if schedule.warmup_epochs == 0 and schedule.final_fraction == 1:
        return peak
    warmup_steps = round(schedule.warmup_epochs * steps_per_epoch)
    warms_up = warmup_steps > 0
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warms_up else peak,
        decay_steps=max(1, steps_per_epoch * epochs - warmup_steps),
        alpha=schedule.final_fraction,
        warmup_target=peak if warms_up else None,
        warmup_steps=warmup_steps,
    )
