"""Keras's optimizers and learning-rate schedules, by their own names."""

import dataclasses

import keras

from src.config.schema import OptimizerConfig, ScheduleConfig

_NUMBERS = ("initial_learning_rate", "decay_steps", "alpha", "warmup_target", "warmup_steps")


class LiveCosineDecay(keras.optimizers.schedules.CosineDecay):
    """Keras's cosine, its numbers in variables: a traced step takes others as they are."""

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

    @property
    def warms_up(self) -> bool:
        """Whether its arithmetic has a warm-up, however short."""
        return self.warmup_target is not None

    def become(self, other: "LiveCosineDecay") -> None:
        """Take over the numbers of another one, which warms up if this one does."""
        for name in _NUMBERS:
            if getattr(self, name) is not None:
                getattr(self, name).assign(getattr(other, name))


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
    arguments["learning_rate"] = learning_rate(
        optimizer.learning_rate, schedule, steps_per_epoch, epochs
    )
    return getattr(keras.optimizers, name)(**arguments)


def learning_rate(
    peak: float, schedule: ScheduleConfig, steps_per_epoch: int, epochs: int
) -> float | LiveCosineDecay:
    """A number where it never changes. A cosine that ends at its peak is a constant.

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
