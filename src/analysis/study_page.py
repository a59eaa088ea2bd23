"""A study's report: the answer first, then pictures, tables and how it was made."""

import math
from collections.abc import Sequence

import pandas as pd

from src.analysis.checks import check
from src.analysis.claims import Judgement, judge_claims
from src.analysis.effects import estimate_effects
from src.analysis.faces import face_errors
from src.analysis.leaderboard import Leaderboard, leaderboard
from src.analysis.sections.account import again_section, checks_section, cost_section
from src.analysis.sections.effects import effects_section
from src.analysis.sections.faces import faces_section
from src.analysis.sections.formatting import count, name_of
from src.analysis.sections.leaderboard import leaderboard_section
from src.analysis.sections.overfitting import overfitting_section
from src.analysis.study_data import StudyData
from src.core.names import State
from src.pages import Document, Section, Table, escape
from src.records.tables import states


def study_document(study: StudyData, worst_faces: Sequence[bytes] = ()) -> Document:
    """The whole report.

    Args:
        study: Whatever its trials came to: none, one, failed ones.
        worst_faces: Pictures of `face_errors(study).worst`, where they could be read.
    """
    board = leaderboard(study)
    effects = estimate_effects(study)
    judgements = judge_claims(study, board)
    errors = face_errors(study)
    sections = [
        _conclusions(study, judgements),
        leaderboard_section(study, board),
        overfitting_section(study, board),
        effects_section(study, effects),
        checks_section(check(study, board, effects)),
        faces_section(errors, worst_faces),
        cost_section(study),
        again_section(study),
    ]
    return Document(
        title=f"Study “{study.name}”",
        summary=_summary(study, board, judgements),
        sections=[section for section in sections if section.blocks],
    )


def _summary(study: StudyData, board: Leaderboard, judgements: Sequence[Judgement]) -> str:
    parts = [f"**{escape(study.question)}**" if study.question else "", states(study.trials)]
    if board.leaders:
        best = board.leaders[0]
        alike = sum(row.could_be_best for row in board.leaders) - 1
        who = name_of(best.configuration)
        interval = "" if math.isnan(best.low) else f" [{best.low:.2f}, {best.high:.2f}]"
        mean = f", mean of {len(best.trials)} seeds" if len(best.trials) > 1 else ""
        line = (
            f"Lowest error: {who}: **{best.val_mae:.2f} years**{interval}{mean}, gap "
            f"{best.gap:+.2f} years. {_alike(alike, len(board.leaders) - 1)}"
        )
        if math.isfinite(board.optimism):
            line += (
                f" Its error flatters it by about {board.optimism:.2f} years, because it was "
                "chosen on the faces that it is measured on; the choice of its best epoch adds to "
                "that."
            )
        parts.append(line)
    if judgements:
        lines = [
            f"- {escape(each.claim.says)} **{each.answer.capitalize()}.**" for each in judgements
        ]
        parts.append("\n".join(lines))
    parts += [_left_out(study), study.caveat]
    return "\n\n".join(part for part in parts if part)


def _alike(alike: int, others: int) -> str:
    if not others:
        return "There is no other configuration."
    return f"Of {count(others, 'other configuration')}, {alike} cannot be told from it."


def _left_out(study: StudyData) -> str:
    """What the numbers do not contain."""
    words = []
    running = sum(t.state in (State.RUNNING, State.WAITING) for t in study.trials)
    if running:
        words.append(f"{count(running, 'trial')} running or waiting: this is a half-way look.")
    complete = sum(trial.state is State.COMPLETE for trial in study.trials)
    others = complete - len(study.compared)
    if others:
        words.append(
            f"{count(others, 'complete trial')} left out of all comparisons: other faces or "
            "another split, fewer epochs, an error beyond all measure, or run twice."
        )
    if study.num_pruned:
        words.append(
            f"{count(study.num_pruned, 'pruned trial')} left out too. They were given up because "
            "they were behind, so those that are left differ too little: effects are larger than "
            "they look here."
        )
    return " ".join(words)


def _conclusions(study: StudyData, judgements: Sequence[Judgement]) -> Section:
    if not judgements:
        return Section("Conclusions", [])
    cells = pd.DataFrame(
        {
            "claim": [each.claim.says for each in judgements],
            "answer": [str(each.answer) for each in judgements],
            "what the trials say": [each.reason for each in judgements],
        }
    )
    late = (
        " They were stated after the trials had run, so they are no predictions."
        if study.claims_are_late
        else ""
    )
    caption = (
        "Supported: the whole interval lies where the claim says. Contradicted: none of it does. "
        "All intervals hold together with 95 % (Bonferroni). Effects are adjusted for the other "
        f"hyperparameters, from the lowest value to the highest along a straight line.{late}"
    )
    return Section("Conclusions", [Table("claims", cells, caption)])
