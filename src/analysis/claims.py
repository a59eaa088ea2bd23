"""What a study says of the claims it was to test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from src.analysis.effects import LABELS, METRICS, UNITS, outcome_of
from src.analysis.hyperparameters import design, entangled_with, factors, in_design
from src.analysis.leaderboard import Leader, Leaderboard
from src.analysis.study_data import StudyData
from src.config.schema import ClaimConfig, ClaimDirection, ClaimOutcome
from src.statistics import CrossedFit, Estimate, Outcome


class Answer(StrEnum):
    """What the data say of a claim."""

    supported = "supported"
    contradicted = "contradicted"
    not_resolved = "not resolved"


@dataclass(frozen=True)
class Judgement:
    """A claim with its answer.

    Attributes:
        claim: What was claimed.
        answer: Supported if the whole interval lies where the claim says, contradicted if none
            of it does, else not resolved.
        reason: Effect, interval and number of trials in words, or why there is none.
        estimate: Change of the outcome, or the outcome itself; None where there is no interval.
        num_trials: That the answer rests on.
    """

    claim: ClaimConfig
    answer: Answer
    reason: str
    estimate: Estimate | None
    num_trials: int


def judge_claims(study: StudyData, board: Leaderboard) -> tuple[Judgement, ...]:
    """Answer every claim; intervals are wide enough to hold together with 95 % (Bonferroni).

    Args:
        study: With its claims.
        board: The study's.
    """
    if not study.claims:
        return ()
    confidence = 1 - 0.05 / len(study.claims)
    return tuple(_judge(study, board, claim, confidence) for claim in study.claims)


def _judge(
    study: StudyData, board: Leaderboard, claim: ClaimConfig, confidence: float
) -> Judgement:
    count = len(study.compared)

    def unresolved(reason: str) -> Judgement:
        return Judgement(claim, Answer.not_resolved, reason, None, count)

    if count == 0:
        return unresolved("No trial is complete.")
    outcome = outcome_of(study, claim.moves)
    if not np.isfinite(outcome.values).all():
        return unresolved(f"The {LABELS[claim.moves]} was not recorded.")
    if claim.raising is None:
        return _judge_level(study, board.leaders[0], claim, outcome, confidence)
    for key, others in study.merged.items():
        if claim.raising in others:
            return unresolved(f"{claim.raising} changed only together with {key}.")
    if claim.raising not in study.keys:
        return unresolved(f"{claim.raising} is the same in all {count} trials.")
    model = factors(study.compared, study.keys)
    (factor,) = [factor for factor in model if factor.key == claim.raising]
    trend = factor.trend
    if trend is None:
        return unresolved(f"The values of {claim.raising} have no order.")
    fit = CrossedFit(design(model, count), outcome)
    weights = in_design(model, factor, trend.weights)
    if not fit.is_estimable(weights):
        culprits = ", ".join(entangled_with(model, factor, fit, weights))
        return unresolved(
            f"{claim.raising} cannot be told from {culprits}: confounded in these {count} trials."
        )
    estimate = fit.estimate(weights, confidence)
    if estimate is None:
        return unresolved(
            f"Effect {fit.value(weights):+.2f} {UNITS[claim.moves]}, without an interval: "
            f"{count} trials leave nothing to judge their spread by."
        )
    change = f"from {trend.low} to {trend.high}"
    judgement = _answered(claim, estimate, f"{change}: ", count, confidence)
    if study.num_pruned and judgement.answer is Answer.contradicted:
        reason = f"{judgement.reason}; of survivors only, whose differences are too small"
        return replace(judgement, answer=Answer.not_resolved, reason=reason)
    return judgement


def _judge_level(
    study: StudyData, best: Leader, claim: ClaimConfig, outcome: Outcome, confidence: float
) -> Judgement:
    """A claim about the best configuration's own outcome."""
    runs = {trial.run_id for trial in best.trials}
    places = [place for place, trial in enumerate(study.compared) if trial.run_id in runs]
    weights = np.zeros(len(study.compared))
    weights[places] = 1 / len(places)
    model = factors(study.compared, study.keys)
    fit = CrossedFit(design(model, len(study.compared)), outcome)
    value = float(weights @ outcome.values)
    number = best.trials[0].number
    who = f"best configuration (trial {number}): " if number else "best configuration: "
    estimate = fit.mean_of(weights)
    if not outcome.faces:  # then the fit knows nothing of other faces
        of_faces = _from_record(study, claim.moves, places)
        errors = [each.standard_error for each in (estimate, of_faces) if each]
        estimate = Estimate.of_normal(value, math.hypot(*errors)) if of_faces else None
    if estimate is None:
        return Judgement(
            claim,
            Answer.not_resolved,
            f"{who}{value:+.2f} {UNITS[claim.moves]}, without an interval.",
            None,
            len(places),
        )
    judgement = _answered(claim, estimate.at(confidence), who, len(places), confidence)
    if fit.degrees_of_freedom == 0:
        about = "over other faces, not over other trainings"
        return replace(judgement, reason=f"{judgement.reason}, {about}")
    return judgement


def _from_record(study: StudyData, moves: ClaimOutcome, places: Sequence[int]) -> Estimate | None:
    """From the trials' own intervals over faces, where errors of single faces were not kept."""
    metric = METRICS[moves]
    errors = study.recorded_errors(metric)[list(places)]
    if not np.isfinite(errors).all():
        return None
    value = float(study.values(metric)[list(places)].mean())
    return Estimate.of_normal(value, float(errors.mean()))


def _answered(
    claim: ClaimConfig, estimate: Estimate, of_what: str, count: int, confidence: float
) -> Judgement:
    up = claim.direction is ClaimDirection.up
    low, high = (estimate.low, estimate.high) if up else (-estimate.high, -estimate.low)
    if low > claim.at_least:
        answer = Answer.supported
    elif high < claim.at_least:
        answer = Answer.contradicted
    else:
        answer = Answer.not_resolved
    decimals = 1 if claim.moves is ClaimOutcome.seconds_per_epoch else 2
    reason = (
        f"{of_what}{estimate.value:+.{decimals}f} {UNITS[claim.moves]} "
        f"[{estimate.low:+.{decimals}f}, {estimate.high:+.{decimals}f}], "
        f"at {confidence:.2%} confidence, n = {count}"
    )
    return Judgement(claim, answer, reason, estimate, count)
