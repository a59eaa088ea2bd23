"""Which of the trials train in one stack."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psutil

from src.config.schema import AdamConfig, DropoutPosition
from src.training.program import Program
from src.training.side_by_side.trial import SideTrial

_MAX_BYTES = 4e9  # that heads may take, however many there are and however wide
_NUM_COPIES = 10  # of its weights: itself, its gradient, Adam's two, the latest and best states
_NUM_INPUTS = 3  # of a batch, where its seed is nobody else's: activations, draws, what is left


def in_stacks(trials: Sequence[SideTrial]) -> list[list[SideTrial]]:
    """The trials by what a stack must share, the heads' shape first."""
    stacks = defaultdict(list)
    for trial in trials:
        stacks[_stack_key(trial)].append(trial)
    return list(stacks.values())


def _stack_key(trial: SideTrial) -> tuple[Any, ...]:
    config = trial.config
    optimizer = replace(config.optimizer, learning_rate=1.0, clipnorm=None)
    if isinstance(optimizer, AdamConfig):
        optimizer = replace(optimizer, beta_1=0.0, beta_2=0.0, epsilon=1.0)
    decays = getattr(optimizer, "weight_decay", None) is not None
    # Without dropout a feature map is pooled at once; of a vector it would save next to nothing.
    is_map = config.model.dropout_position is DropoutPosition.before_pooling
    drops = is_map and config.model.dropout_rate > 0
    return (
        str(replace(config.model, dropout_rate=float(drops))),
        str(replace(optimizer, weight_decay=float(decays))),  # type: ignore[call-arg]
        decays,
        config.data.batch_size,
        str(config.schedule),
        trial.num_inherited,
    )


def that_fit_into_memory(
    trials: Sequence[SideTrial], program: Program
) -> Iterator[list[SideTrial]]:
    """The trials in portions; nearly always one."""
    num_weights = sum(int(np.prod(variable.shape)) for variable in program.weights)
    num_inputs = int(np.prod(program.learner.input.shape[1:]))
    num_inputs *= trials[0].config.data.batch_size
    limit = min(_MAX_BYTES, psutil.virtual_memory().available / 4)
    size = max(1, int(limit // (4 * (_NUM_COPIES * num_weights + _NUM_INPUTS * num_inputs))))
    for start in range(0, len(trials), size):
        yield list(trials[start : start + size])
