"""Four questions to ask of any study before its answer is believed.

After the Deep Learning Tuning Playbook (Godbole, Dahl, Gilmer, Shallue and Nado 2023), "Extracting
insight from experiment results".
"""

from dataclasses import dataclass

import numpy as np

from src.analysis.effects import Effects
from src.analysis.hyperparameters import Factor
from src.analysis.leaderboard import Leaderboard
from src.analysis.study_data import StudyData, diverged
from src.core.names import State

_LATE_SHARE = 0.1  # of the epochs: a best epoch in the last tenth may not be the last word


@dataclass(frozen=True)
class Check:
    """One question with its answer.

    Attributes:
        question: What is asked.
        is_passed: Whether nothing speaks against the study.
        answer: A sentence.
    """

    question: str
    is_passed: bool
    answer: str


def check(study: StudyData, board: Leaderboard, effects: Effects) -> tuple[Check, ...]:
    """All four."""
    return (
        _boundary(study, board, effects),
        _sampling(study, effects),
        _infeasible(study),
        _curves(study),
    )


def _boundary(study: StudyData, board: Leaderboard, effects: Effects) -> Check:
    question = "Is the best configuration inside what was tried?"
    ordered = [factor for factor in effects.factors if factor.numbers is not None]
    if not board.leaders or not ordered:
        return Check(question, False, "No ordered hyperparameter was varied.")
    best = board.leaders[0].configuration
    edges, pairs = [], []
    for factor in ordered:
        tried = {t.params[factor.key] for t in study.trials if factor.key in t.params}
        levels = Factor(factor.key, tuple(tried)).levels  # of failed and pruned trials, too
        if len(levels) == 2:
            pairs.append(factor.label)
        elif best[factor.key] in (levels[0], levels[-1]):
            end = "smallest" if best[factor.key] == levels[0] else "largest"
            edges.append(f"{factor.label} is the {end} tried ({best[factor.key]})")
    words = [f"{'; '.join(edges)}: a better one may lie beyond." if edges else ""]
    if pairs:
        words.append(f"With two values each, {', '.join(pairs)} cannot be judged by this.")
    if not edges and not pairs:
        words.append("Every value lies between others that were tried.")
    return Check(question, not edges and len(pairs) < len(ordered), " ".join(filter(None, words)))


def _sampling(study: StudyData, effects: Effects) -> Check:
    question = "Were enough configurations and seeds sampled?"
    count = len(study.compared)
    configurations = len(set(study.groups))
    words = f"{count} complete trials of {configurations} configurations"
    words += ", replicates among them." if study.has_replicates else ", one seed each."
    if np.isfinite(effects.smallest_seen):
        words += (
            " Effects on validation MAE smaller than about "
            f"{effects.smallest_seen:.2f} years would mostly go unseen."
        )
    elif effects.factors:
        words += " They leave nothing to judge their spread by: no effect has an interval."
    return Check(question, study.has_replicates and effects.degrees_of_freedom >= 6, words)


def _infeasible(study: StudyData) -> Check:
    question = "Did few trials fail?"
    ended = [t for t in study.trials if t.state in (State.COMPLETE, State.PRUNED, State.FAILED)]
    infeasible = sum("infeasible" in trial.tags for trial in ended)
    lost = sum(trial.state is State.COMPLETE and diverged(trial) for trial in ended)
    failed = sum(trial.state is State.FAILED for trial in ended) - infeasible
    if not ended:
        return Check(question, False, "No trial has ended.")
    words = f"{infeasible} infeasible and {failed} failed of {len(ended)} that ended."
    if lost:
        words += f" {lost} more ended with an error beyond all measure."
    return Check(question, infeasible + failed + lost <= 0.1 * len(ended), words)


def _curves(study: StudyData) -> Check:
    question = "Had the curves settled?"
    late = total = 0
    for trial in study.compared:
        val = study.curve(trial)["mae/val"].to_numpy(float)
        if len(val) < 3 or np.isnan(val).all():
            continue
        total += 1
        late += int(np.nanargmin(val) + 1 > (1 - _LATE_SHARE) * len(val))
    if not total:
        return Check(question, False, "No curve has three epochs.")
    words = (
        f"In {late} of {total} trials the best epoch is in the last tenth: "
        f"{'longer training could change their order' if late else 'the others had turned before'}."
    )
    return Check(question, late <= total / 4, words)
