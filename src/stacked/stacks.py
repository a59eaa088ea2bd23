"""Division of trials into stacks."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psutil

from src.config import stack_key
from src.stacked.trial import StackedTrial
from src.training.program import Program

_MAX_BYTES = 4e9  # of the heads of a stack
_NUM_COPIES = 10  # of the weights: themselves, gradients, Adam's two, the latest and best states
_NUM_INPUTS = 3  # of a batch, if its seed is used once: activations, draws, dropped activations


def in_stacks(trials: Sequence[StackedTrial]) -> list[list[StackedTrial]]:
    """Returns the trials grouped by what a stack must share, with equally many epochs trained."""
    stacks: dict[Any, list[StackedTrial]] = defaultdict(list)
    for trial in trials:
        stacks[stack_key(trial.config), trial.num_inherited].append(trial)
    return list(stacks.values())


def that_fit_into_memory(
    trials: Sequence[StackedTrial], program: Program
) -> Iterator[list[StackedTrial]]:
    """Yields the trials in portions that fit into memory; usually one."""
    num_weights = sum(int(np.prod(variable.shape)) for variable in program.weights)
    num_inputs = int(np.prod(program.learner.input.shape[1:]))
    num_inputs *= trials[0].config.data.batch_size
    limit = min(_MAX_BYTES, psutil.virtual_memory().available / 4)
    size = max(1, int(limit // (4 * (_NUM_COPIES * num_weights + _NUM_INPUTS * num_inputs))))
    for start in range(0, len(trials), size):
        yield list(trials[start : start + size])
