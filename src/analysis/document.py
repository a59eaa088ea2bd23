"""Report of a study as a document: the answer first, then figures, tables and its origin."""

import math
from collections import Counter
from collections.abc import Sequence

from src.analysis.checks import checks_section
from src.analysis.claims import Judgement, conclusions_section, judge_claims
from src.analysis.effects.numbers import estimate_effects
from src.analysis.effects.section import effects_section
from src.analysis.faces import faces_section
from src.analysis.formatting import capitalized, count, name_of, number
from src.analysis.leaderboard.numbers import Leaderboard, leaderboard
from src.analysis.leaderboard.section import leaderboard_section
from src.analysis.origin import cost_section, reproduce_section
from src.analysis.overfitting.section import overfitting_section
from src.analysis.study_data import StudyData
from src.core.names import State
from src.pages.blocks import Document
from src.pages.markdown import escape
from src.records.tables import states


def study_document(study: StudyData, worst_faces: Sequence[bytes] = ()) -> Document:
    """Returns the whole report.

    Args:
        study: With trials in any state, or none.
        worst_faces: See `faces_section`.
    """
    board = leaderboard(study)
    effects = estimate_effects(study)
    judgements = judge_claims(study, board)
    sections = [
        conclusions_section(study, judgements),
        leaderboard_section(study, board),
        overfitting_section(study, board),
        effects_section(study, effects),
        checks_section(study, board, effects),
        faces_section(study, worst_faces),
        cost_section(study),
        reproduce_section(study),
    ]
    return Document(
        title=f"Study “{study.name}”",
        summary=_summary(study, board, judgements),
        sections=[section for section in sections if section.blocks],
    )


def _summary(study: StudyData, board: Leaderboard, judgements: Sequence[Judgement]) -> str:
    claims = [f"- {escape(each.claim.says)} **{each.answer.capitalize()}.**" for each in judgements]
    parts = [
        f"**{escape(study.question)}**" if study.question else "",
        states(study.trials),
        _best(study, board),
        "\n".join(claims),
        _left_out(study),
        study.caveat,
    ]
    return "\n\n".join(part for part in parts if part)


def _best(study: StudyData, board: Leaderboard) -> str:
    if not board.leaders:
        return ""
    best, terms = board.leaders[0], study.terms
    interval = "" if math.isnan(best.low) else f" [{best.low:.2f}, {best.high:.2f}]"
    mean = f", mean of {len(best.trials)} seeds" if len(best.trials) > 1 else ""
    gap = f", gap {number(best.gap, '+')} {terms.target.unit}" if math.isfinite(best.gap) else ""
    text = (
        f"Best configuration: {name_of(best.configuration)}. {capitalized(terms.phrase)}: "
        f"**{f'{best.value:.2f} {terms.unit}'.strip()}**{interval}{mean}{gap}."
    )
    others = len(board.leaders) - 1
    if not others:
        text += " There is no other configuration."
    elif board.is_tested:
        alike = sum(row.could_be_best is True for row in board.leaders) - 1
        text += f" Not significantly worse: {alike} of {count(others, 'other configuration')}."
    if math.isfinite(board.optimism):
        text += (
            f" Selection bias of the best: about {board.optimism:.2f} {terms.unit}, because it was "
            "selected on the faces that it is measured on."
        )
        if not terms.objective.keeps_last_epoch:
            text += " The selection of its epoch adds to it."
    return text


def _left_out(study: StudyData) -> str:
    """Returns sentences on the trials that the numbers do not contain."""
    words = []
    by_state = Counter(trial.state for trial in study.trials)
    running = by_state[State.RUNNING] + by_state[State.WAITING]
    if running:
        words.append(f"{count(running, 'trial')} running or waiting: this report is preliminary.")
    others = by_state[State.COMPLETE] - len(study.compared)
    if others:
        words.append(
            f"{count(others, 'complete trial')} excluded from all comparisons: other faces or "
            "another split, fewer epochs, divergence, or a repeated configuration."
        )
    if study.num_pruned:
        words.append(
            f"{count(study.num_pruned, 'pruned trial')} excluded too. Only trials that were behind "
            "are pruned, so the others differ too little: effects are underestimated here."
        )
    return " ".join(words)
