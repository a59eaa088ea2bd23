"""Claims of a study, judged by its trials."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd

from src.analysis.effects.hyperparameters import confounded_with, design, factors, in_design
from src.analysis.effects.numbers import LABELS, METRICS, outcome_of, unit_of
from src.analysis.leaderboard.numbers import Leader, Leaderboard
from src.analysis.study_data import StudyData
from src.config.study_schema import ClaimConfig, ClaimDirection, ClaimOutcome
from src.pages.blocks import Section, Table
from src.statistics.crossed import CrossedFit, Estimate, estimate_of


class Answer(StrEnum):
    """Answer of the trials to a claim."""

    supported = "supported"
    contradicted = "contradicted"
    not_resolved = "not resolved"


@dataclass(frozen=True)
class Judgement:
    """A claim with its answer.

    Attributes:
        claim: The claim.
        answer: Supported if the whole interval is on the claimed side, contradicted if none of it
            is, else not resolved.
        reason: Effect, interval and number of trials, or why there is none.
    """

    claim: ClaimConfig
    answer: Answer
    reason: str


def judge_claims(study: StudyData, board: Leaderboard) -> tuple[Judgement, ...]:
    """Returns the answer to every claim; the intervals hold together with 95 % (Bonferroni)."""
    confidence = 1 - 0.05 / max(len(study.claims), 1)
    return tuple(_judge(study, board, claim, confidence) for claim in study.claims)


def conclusions_section(study: StudyData, judgements: Sequence[Judgement]) -> Section:
    """Returns the section; without blocks if there are no claims."""
    if not judgements:
        return Section("Conclusions", [])
    rows = [(each.claim.says, str(each.answer), each.reason) for each in judgements]
    cells = pd.DataFrame(rows, columns=["claim", "answer", "evidence"])
    caption = (
        "Supported: the whole interval is on the claimed side. Contradicted: none of it is. All "
        "intervals hold together with 95 % (Bonferroni). Effects are adjusted for the other "
        "hyperparameters, from the lowest value to the highest along a straight line."
    )
    if study.claims_are_late:
        caption += " The claims were stated after the trials had run: they are not predictions."
    return Section("Conclusions", [Table("claims", cells, caption)])


def _judge(
    study: StudyData, board: Leaderboard, claim: ClaimConfig, confidence: float
) -> Judgement:
    count, key = len(study.compared), claim.raising

    def unresolved(reason: str) -> Judgement:
        return Judgement(claim, Answer.not_resolved, reason)

    if count == 0:
        return unresolved("No trial is complete.")
    outcome, unit = outcome_of(study, claim.moves), unit_of(claim.moves, study.terms)
    if not np.isfinite(outcome.values).all():
        return unresolved(f"The {LABELS[claim.moves]} was not recorded.")
    model = factors(study.compared, study.keys)
    fit = CrossedFit(design(model, count), outcome)
    if key is None:
        return _judge_level(study, board.leaders[0], claim, fit, confidence)
    for representative, others in study.merged.items():
        if key in others:
            return unresolved(f"{key} changed only together with {representative}.")
    factor = next((factor for factor in model if factor.key == key), None)
    if factor is None:
        return unresolved(f"{key} is the same in all {count} trials.")
    trend = factor.trend
    if trend is None:
        return unresolved(f"The values of {key} have no order.")
    weights = in_design(model, factor, trend.weights)
    if not fit.is_estimable(weights):
        others = confounded_with(model, factor, fit, weights)
        return unresolved(f"{key} is confounded with {', '.join(others)} in these {count} trials.")
    estimate = fit.estimate(weights, confidence)
    if estimate is None:
        return unresolved(
            f"Effect {fit.value(weights):+.2f} {unit}, without an interval: {count} trials leave "
            "no degree of freedom for the variance between trials."
        )
    change = f"from {trend.low} to {trend.high}: "
    judgement = _answered(claim, estimate, change, unit, count, confidence)
    if study.num_pruned and judgement.answer is Answer.contradicted:
        reason = f"{judgement.reason}; without the pruned trials the effect is underestimated"
        return replace(judgement, answer=Answer.not_resolved, reason=reason)
    return judgement


def _judge_level(
    study: StudyData, best: Leader, claim: ClaimConfig, fit: CrossedFit, confidence: float
) -> Judgement:
    """Returns the answer to a claim about the best configuration's own outcome."""
    runs = {trial.run_id for trial in best.trials}
    members = [index for index, trial in enumerate(study.compared) if trial.run_id in runs]
    weights = np.zeros(len(study.compared))
    weights[members] = 1 / len(members)
    value = float(study.values(METRICS[claim.moves])[members].mean())
    number, unit = best.trials[0].number, unit_of(claim.moves, study.terms)
    name = f"best configuration (trial {number}): " if number else "best configuration: "
    estimate = fit.mean_of(weights, confidence)
    if not fit.outcome.errors:  # the fit has no variance between faces: add that of the records
        of_faces = float(study.recorded_errors(METRICS[claim.moves])[members].mean())
        error = math.hypot(estimate.standard_error if estimate else 0.0, of_faces)
        known = math.isfinite(error)
        estimate = estimate_of(value, error**2, 1e9, confidence) if known else None
    if estimate is None:
        reason = f"{name}{value:+.2f} {unit}, without an interval."
        return Judgement(claim, Answer.not_resolved, reason)
    judgement = _answered(claim, estimate, name, unit, len(members), confidence)
    if fit.degrees_of_freedom == 0:
        scope = "over other faces, not over other trainings"
        return replace(judgement, reason=f"{judgement.reason}, {scope}")
    return judgement


def _answered(
    claim: ClaimConfig, estimate: Estimate, name: str, unit: str, count: int, confidence: float
) -> Judgement:
    up = claim.direction is ClaimDirection.up
    low, high = (estimate.low, estimate.high) if up else (-estimate.high, -estimate.low)
    answer = Answer.not_resolved
    if low > claim.at_least or high < claim.at_least:
        answer = Answer.supported if low > claim.at_least else Answer.contradicted
    decimals = 1 if claim.moves is ClaimOutcome.seconds_per_epoch else 2
    reason = (
        f"{name}{estimate.value:+.{decimals}f} {unit} "
        f"[{estimate.low:+.{decimals}f}, {estimate.high:+.{decimals}f}], "
        f"at {confidence:.2%} confidence, n = {count}"
    )
    return Judgement(claim, answer, reason)
