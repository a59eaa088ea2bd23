"""Four checks of a study's conclusions.

After the Deep Learning Tuning Playbook (Godbole, Dahl, Gilmer, Shallue and Nado 2023), "Extracting
insight from experiment results".
"""

from collections import Counter

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


Check = tuple[bool, str]
"""The support for the study's conclusions by answer, with the answer in sentences."""


def checks_section(study: StudyData, board: Leaderboard, effects: Effects) -> Section:
    """Returns the section with the four checks."""
    checks = {
        "Is the best configuration inside the range of values that were tried?": _boundary(
            study, board, effects
        ),
        "Were enough configurations and seeds sampled?": _sampling(study, effects),
        "Did few trials fail?": _infeasible(study),
        "Had the learning curves converged?": _curves(study),
    }
    cells = pd.DataFrame(
        {"question": question, "": "✓" if is_passed else "review", "answer": answer}
        for question, (is_passed, answer) in checks.items()
    )
    caption = "Conclusions are reliable only as far as these checks pass."
    return Section("Four checks", [Table("checks", cells, caption)])


def _boundary(study: StudyData, board: Leaderboard, effects: Effects) -> Check:
    ordered = [factor for factor in effects.factors if factor.numbers is not None]
    if not board.leaders or not ordered:
        return False, "No ordered hyperparameter was varied."
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
    return not edges and len(pairs) < len(ordered), " ".join(words)


def _sampling(study: StudyData, effects: Effects) -> Check:
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
    return study.has_replicates and effects.degrees_of_freedom >= 6, words


def _infeasible(study: StudyData) -> Check:
    states = Counter(trial.state for trial in study.trials)
    ended = states[State.COMPLETE] + states[State.PRUNED] + states[State.FAILED]
    infeasible = sum(names.INFEASIBLE in trial.tags for trial in study.trials)
    failed = states[State.FAILED] - infeasible
    complete = [trial for trial in study.trials if trial.state is State.COMPLETE]
    lost = sum(diverged(trial, study.terms.objective) for trial in complete)
    if not ended:
        return False, "No trial has ended."
    words = f"{infeasible} infeasible and {failed} failed of {ended} ended trials."
    if lost:
        words += f" {lost} more diverged."
    return infeasible + failed + lost <= 0.1 * ended, words


def _curves(study: StudyData) -> Check:
    curves = [study.curve(trial)[names.VAL_MAE].to_numpy(float) for trial in study.compared]
    judged = [val for val in curves if len(val) >= 3 and not np.isnan(val).all()]
    if not judged:
        return False, "No curve has three epochs."
    late = sum(int(np.nanargmin(val) + 1 > (1 - _LATE_SHARE) * len(val)) for val in judged)
    words = (
        f"In {late} of {len(judged)} trials the best epoch is in the last tenth: "
        f"{'longer training could change the ranking' if late else 'none was still improving'}."
    )
    return late <= len(judged) / 4, words
