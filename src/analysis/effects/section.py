"""Effects section of the report."""

import math

import pandas as pd

from src.analysis.effects import figure
from src.analysis.effects.numbers import ALPHA, LABELS, Effect, Effects, unit_of
from src.analysis.formatting import capitalized, count, interval, number, short
from src.analysis.study_data import StudyData
from src.config.study_schema import ClaimOutcome
from src.pages.blocks import Block, Picture, Section, Table, Text
from src.records.terms import Terms


def effects_section(study: StudyData, effects: Effects) -> Section:
    """Returns the section; without blocks if no trial can be compared."""
    title, terms = "Effects of the hyperparameters", study.terms
    if not study.compared:
        return Section(title, [])
    if not effects.factors:
        return Section(title, [Text("The complete trials do not differ in any hyperparameter.")])
    known = {each.outcome for each in effects.effects if not math.isnan(each.value)}
    more = len(effects.factors) - figure.MAX_FACTORS
    blocks: list[Block] = [
        Text(_model(study, effects)),
        *(_forest(effects, outcome, terms) for outcome in ClaimOutcome if outcome in known),
        _table(effects, terms),
        Picture(
            "effect_by_level",
            figure.effect_by_level(study, effects),
            f"{capitalized(terms.phrase)} (left) and generalisation gap (right) of every trial "
            "against each hyperparameter, and the mean of each value."
            + (f" {more} more hyperparameters are not drawn." if more > 0 else ""),
        ),
        Text(_interactions(effects, terms)),
        Picture(
            "parallel_coordinates",
            figure.parallel_coordinates(study, effects),
            f"A line for each trial, through its hyperparameters to its {terms.phrase}. On the "
            "interactive page, drag along an axis to select trials.",
            figure.parallel_coordinates_interactive(study, effects),
        ),
    ]
    if effects.importances:
        trust = "meaningful" if effects.forest_score > 0.3 else "meaningless"
        blocks.append(
            Picture(
                "importances",
                figure.importances(effects),
                f"Decrease of a random forest's R² for the {terms.phrase} when a hyperparameter "
                "is shuffled (scikit-learn). R² on trials that its trees have not seen: "
                f"{effects.forest_score:.2f}; the order of the hyperparameters is {trust}.",
            )
        )
    return Section(title, blocks)


def _forest(effects: Effects, outcome: ClaimOutcome, terms: Terms) -> Picture:
    return Picture(
        f"effects_on_{outcome}",
        figure.effects_forest(effects, outcome, terms),
        f"Effect of each change on the {LABELS[outcome]}, in {unit_of(outcome, terms)}, all other "
        "hyperparameters equal; left of the line it decreases. Filled: significant after "
        "correction for all effects and interactions (Holm).",
    )


def _model(study: StudyData, effects: Effects) -> str:
    known = {effect.key for effect in effects.effects if not math.isnan(effect.value)}
    confounded = [factor.label for factor in effects.factors if factor.key not in known]
    faces = " and other faces" if "val" in study.measured else ""
    words = [
        f"A linear model of {len(study.compared)} complete trials, which leave "
        f"{effects.degrees_of_freedom} degrees of freedom; intervals are over other "
        f"trainings{faces}."
    ]
    words += [
        f"{key} represents {', '.join(others)}, which changed with it."
        for key, others in study.merged.items()
        if others
    ]
    if study.num_pruned:
        words.append("Effects among the trials that were not pruned underestimate the true ones.")
    if confounded:
        words.append(
            f"The effect of {', '.join(confounded)} is confounded with that of other "
            "hyperparameters, which the table names."
        )
    if effects.degrees_of_freedom == 0:
        words.append("Differences are those of single trainings; no effect has an interval.")
    return " ".join(words)


def _table(effects: Effects, terms: Terms) -> Table:
    shown = [
        each
        for each in effects.effects
        if not math.isnan(each.value) or each.outcome is ClaimOutcome.val_mae
    ]
    cells = pd.DataFrame(
        {
            "hyperparameter": short(each.key),
            "from": each.low,
            "to": each.high,
            "on": "everything" if math.isnan(each.value) else LABELS[each.outcome],
            "effect [95 %]": _effect(each, unit_of(each.outcome, terms)),
            "p (Holm)": "" if math.isnan(each.p_adjusted) else f"{each.p_adjusted:.2g}",
            "confounded with": _confounded(each),
        }
        for each in shown
    )
    if not cells["confounded with"].any():
        cells = cells.drop(columns="confounded with")
    values = pd.DataFrame(
        {
            "key": each.key, "from": each.low, "to": each.high, "outcome": str(each.outcome),
            "unit": unit_of(each.outcome, terms), "effect": each.value,
            "low": each.estimate.low if each.estimate else math.nan,
            "high": each.estimate.high if each.estimate else math.nan,
            "p_holm": each.p_adjusted,
        }
        for each in effects.effects
    )  # fmt: skip
    return Table(
        "effects",
        values,
        "Bold: significant after correction for all effects and interactions (Holm, 5 % "
        "together). Each interval has 95 % confidence by itself.",
        shown=cells,
        marked=[index for index, each in enumerate(shown) if each.p_adjusted < ALPHA],
    )


def _confounded(effect: Effect) -> str:
    if not math.isnan(effect.value):
        return ""
    return ", ".join(map(short, effect.confounded_with)) or "all together"


def _interactions(effects: Effects, terms: Terms) -> str:
    significant = [each for each in effects.interactions if each.p_adjusted < ALPHA]
    if not effects.interactions:
        return "Interactions cannot be tested with these trials."
    if not significant:
        return (
            f"Of {count(len(effects.interactions), 'pair')} of hyperparameters and outcomes, "
            "none has a significant interaction after correction (F tests, Holm)."
        )
    lines = [
        f"- {' and '.join(map(short, each.keys))} on the {LABELS[each.outcome]}: cell means "
        "deviate from the sum of both effects by up to "
        f"{each.largest:.2f} {unit_of(each.outcome, terms)} (p = {each.p_adjusted:.2g})."
        for each in significant
    ]
    return "\n".join(["Significant interactions (F tests, Holm):", "", *lines])


def _effect(effect: Effect, unit: str) -> str:
    if math.isnan(effect.value):
        return "confounded"
    decimals = 1 if effect.outcome is ClaimOutcome.seconds_per_epoch else 2
    if effect.estimate is None:
        return f"{number(effect.value, '+', decimals)} {unit}, no interval"
    ends = effect.estimate.low, effect.estimate.high
    return f"{interval(effect.value, *ends, '+', decimals)} {unit}"
