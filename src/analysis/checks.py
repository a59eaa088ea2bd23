"""Four checks of a study's conclusions.

After the Deep Learning Tuning Playbook (Godbole, Dahl, Gilmer, Shallue and Nado 2023), "Extracting
insight from experiment results".
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from src.analysis.effects.hyperparameters import Factor
from src.analysis.effects.numbers import Effects
from src.analysis.leaderboard.numbers import Leaderboard
from src.analysis.study_data import StudyData, diverged
from src.core import names
from src.core.names import State
from src.pages.blocks import Section, Table

_LATE_SHARE = 0.1  # a best epoch in the last tenth of the epochs may improve further


@dataclass(frozen=True)
class Check:
    """A question about a study, with its answer.

    Attributes:
        question: The question.
        is_passed: Whether the answer supports the study's conclusions.
        answer: The answer, in sentences.
    """

    question: str
    is_passed: bool
    answer: str


def checks_section(study: StudyData, board: Leaderboard, effects: Effects) -> Section:
    """Returns the section with the four checks."""
    first, second = _boundary(study, board, effects), _sampling(study, effects)
    checks = [first, second, _infeasible(study), _curves(study)]
    cells = pd.DataFrame(
        {
            "question": [each.question for each in checks],
            "": ["✓" if each.is_passed else "review" for each in checks],
            "answer": [each.answer for each in checks],
        }
    )
    caption = "Conclusions are reliable only as far as these checks pass."
    return Section("Four checks", [Table("checks", cells, caption)])


def _boundary(study: StudyData, board: Leaderboard, effects: Effects) -> Check:
    question = "Is the best configuration inside the range of values that were tried?"
    ordered = [factor for factor in effects.factors if factor.numbers is not None]
    if not board.leaders or not ordered:
        return Check(question, False, "No ordered hyperparameter was varied.")
    best = board.leaders[0].configuration
    edges, pairs = [], []
    for factor in ordered:
        tried = {t.params[factor.key] for t in study.trials if factor.key in t.params}
        levels = Factor(factor.key, tuple(tried)).levels  # including failed and pruned trials
        if len(levels) == 2:
            pairs.append(factor.label)
        elif best[factor.key] in (levels[0], levels[-1]):
            end = "smallest" if best[factor.key] == levels[0] else "largest"
            edges.append(f"{factor.label} is the {end} tried ({best[factor.key]})")
    words = []
    if edges:
        words.append(f"{'; '.join(edges)}: values beyond may be better.")
    if pairs:
        words.append(f"Not checked, as only two values were tried: {', '.join(pairs)}.")
    if not words:
        words.append("Every value is between others that were tried.")
    return Check(question, not edges and len(pairs) < len(ordered), " ".join(words))


def _sampling(study: StudyData, effects: Effects) -> Check:
    question = "Were enough configurations and seeds sampled?"
    count = len(study.compared)
    configurations = len(set(study.groups))
    words = f"{count} complete trials of {configurations} configurations"
    words += ", with replicates." if study.has_replicates else ", one seed each."
    if np.isfinite(effects.smallest_detectable):
        words += (
            f" Effects on validation MAE below about {effects.smallest_detectable:.2f} "
            f"{study.terms.target.unit} would mostly not be detected."
        )
    elif effects.factors:
        words += " No degree of freedom is left: no effect has an interval."
    return Check(question, study.has_replicates and effects.degrees_of_freedom >= 6, words)


def _infeasible(study: StudyData) -> Check:
    question = "Did few trials fail?"
    ended = [t for t in study.trials if t.state in (State.COMPLETE, State.PRUNED, State.FAILED)]
    infeasible = sum(names.INFEASIBLE in trial.tags for trial in ended)
    lost = sum(
        trial.state is State.COMPLETE and diverged(trial, study.terms.objective) for trial in ended
    )
    failed = sum(trial.state is State.FAILED for trial in ended) - infeasible
    if not ended:
        return Check(question, False, "No trial has ended.")
    words = f"{infeasible} infeasible and {failed} failed of {len(ended)} ended trials."
    if lost:
        words += f" {lost} more diverged."
    return Check(question, infeasible + failed + lost <= 0.1 * len(ended), words)


def _curves(study: StudyData) -> Check:
    question = "Had the learning curves converged?"
    late = total = 0
    for trial in study.compared:
        val = study.curve(trial)[names.VAL_MAE].to_numpy(float)
        if len(val) < 3 or np.isnan(val).all():
            continue
        total += 1
        late += int(np.nanargmin(val) + 1 > (1 - _LATE_SHARE) * len(val))
    if not total:
        return Check(question, False, "No curve has three epochs.")
    words = (
        f"In {late} of {total} trials the best epoch is in the last tenth: "
        f"{'longer training could change the ranking' if late else 'none was still improving'}."
    )
    return Check(question, late <= total / 4, words)
