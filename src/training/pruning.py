"""Pruning of trials that fall behind the others of their study. Arithmetic on curves.

A curve is the cost (see `Objective.cost`) after each finished epoch, from the first. Trials are
compared by the lowest value up to an epoch, because in the end a trial counts by its best epoch.
"""

import statistics
from collections.abc import Sequence

from src.config.study_schema import PrunerConfig, PrunerName


def is_due(pruner: PrunerConfig, epoch: int, last_epoch: int) -> bool:
    """Returns whether the pruner decides after this epoch; it never does after the last one."""
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
    """Returns why a trial should end after its latest epoch; empty if it should continue.

    `median`: the trial's best is worse than the median of its siblings' (Golovin et al. 2017,
    "Google Vizier", section 3.2.1). The paper takes each sibling's running average, and completed
    trials only; here it is each sibling's best, and all trials count that have reached the epoch,
    or no trial could be pruned while the first ones run in parallel.

    `asha`: at the rungs r·η^k, k = 0, 1, …, a trial continues if it is among the best ⌊n/η⌋ of the
    n trials that have reached the rung so far, itself included, or is the best of fewer than η
    (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", in the variant that
    stops trials instead of pausing them). Here r is `warmup_epochs` and η `reduction_factor`.

    Equal trials do not beat each other.

    Args:
        pruner: The rule.
        own: The trial's curve.
        siblings: Curves of the study's other trials so far.
        last_epoch: Last epoch of a trial that is not pruned.
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
    """Returns the epochs that pruning would have given to trials with complete curves.

    Args:
        pruner: The rule.
        curves: Complete curves of trials that run one after another.
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
    return f"is rank {rank} of {num_trials}, {num_kept} may continue" if rank > num_kept else ""


def _is_rung(pruner: PrunerConfig, epoch: int) -> bool:
    rung = pruner.warmup_epochs
    while rung < epoch:
        rung *= pruner.reduction_factor
    return rung == epoch
