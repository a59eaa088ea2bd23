"""Whether a trial has fallen behind the others of its study. Arithmetic on curves, no store.

A curve is the validation MAE (years) after each finished epoch, from the first. Trials are
compared by the lowest value up to an epoch, because a trial is worth its best epoch in the end.
"""

import statistics
from collections.abc import Sequence

from src.config.schema import PrunerConfig, PrunerName


def is_due(pruner: PrunerConfig, epoch: int, last_epoch: int) -> bool:
    """Whether the pruner decides anything after this epoch; never after the last one."""
    if not pruner.warmup_epochs <= epoch < last_epoch:
        return False
    return pruner.name is PrunerName.median or (
        pruner.name is PrunerName.asha and _is_rung(pruner, epoch)
    )


def reason_to_prune(
    pruner: PrunerConfig,
    own: Sequence[float],
    siblings: Sequence[Sequence[float]],
    last_epoch: int,
) -> str:
    """Why a trial should end after its latest epoch; empty if it should go on.

    `median`: the trial's best is worse than the median of its siblings' (Golovin et al. 2017,
    "Google Vizier", section 3.2.1). The paper takes each sibling's running average, and
    completed ones alone; here it is each sibling's best, and all that have come as far count,
    or nobody could be pruned while the first trials run side by side.

    `asha`: at the rungs r·η^k, k = 0, 1, …, a trial goes on if it is among the best ⌊n/η⌋ of the
    n trials that have reached the rung so far, itself included, or is the best of fewer than η
    (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", in the variant that
    stops trials instead of pausing them). Here r is `warmup_epochs` and η `reduction_factor`.

    Equals do not beat each other.

    Args:
        pruner: The rule.
        own: The trial's curve.
        siblings: Curves of the study's other trials, as far as they have come.
        last_epoch: Where the trial ends of its own accord.
    """
    epoch = len(own)
    if not is_due(pruner, epoch, last_epoch):
        return ""
    best = min(own)
    peers = [min(curve[:epoch]) for curve in siblings if len(curve) >= epoch]
    rule = _median_rule if pruner.name is PrunerName.median else _asha_rule
    verdict = rule(pruner, best, peers)
    return f"validation MAE {best:.2f} by epoch {epoch} {verdict}" if verdict else ""


def epochs_spent(pruner: PrunerConfig, curves: Sequence[Sequence[float]]) -> list[int]:
    """What pruning would have made of trials that were measured to their ends.

    Args:
        pruner: The rule.
        curves: Whole curves, in the order in which the trials run, one after another.

    Returns:
        The epochs that each trial gets, when it sees those before it as far as they came.
    """
    seen: list[Sequence[float]] = []
    for curve in curves:
        ends = (
            epoch
            for epoch in range(1, len(curve))
            if reason_to_prune(pruner, curve[:epoch], seen, len(curve))
        )
        seen.append(curve[: next(ends, len(curve))])
    return [len(curve) for curve in seen]


def _median_rule(pruner: PrunerConfig, best: float, peers: Sequence[float]) -> str:
    if len(peers) < pruner.min_trials or best <= statistics.median(peers):
        return ""
    return f"is worse than the median of {len(peers)} other trials, {statistics.median(peers):.2f}"


def _asha_rule(pruner: PrunerConfig, best: float, peers: Sequence[float]) -> str:
    num_trials = len(peers) + 1
    num_kept = max(1, num_trials // pruner.reduction_factor)
    rank = 1 + sum(peer < best for peer in peers)
    return f"is rank {rank} of {num_trials}, {num_kept} may go on" if rank > num_kept else ""


def _is_rung(pruner: PrunerConfig, epoch: int) -> bool:
    rung = pruner.warmup_epochs
    while rung < epoch:
        rung *= pruner.reduction_factor
    return rung == epoch
