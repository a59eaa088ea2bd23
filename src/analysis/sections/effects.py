"""What the hyperparameters do, and how sure the trials allow one to be."""

import math

import pandas as pd

from src.analysis.effects import LABELS, UNITS, Effect, Effects
from src.analysis.figures import effects as figures
from src.analysis.figures.parallel import (
    parallel_coordinates,
    parallel_coordinates_interactive,
)
from src.analysis.sections.formatting import count, number
from src.analysis.study_data import StudyData
from src.config.schema import ClaimOutcome
from src.pages import Block, Picture, Section, Table, Text
from src.statistics import Estimate


def effects_section(study: StudyData, effects: Effects) -> Section:
    """The chapter; without blocks where there is nothing to say."""
    title = "Effects of the hyperparameters"
    if not study.compared:
        return Section(title, [])
    if not effects.factors:
        return Section(title, [Text("The complete trials do not differ in any hyperparameter.")])
    told = {each.outcome for each in effects.effects if not math.isnan(each.value)}
    blocks: list[Block] = [
        Text(_how_sure(study, effects)),
        *(_effects_picture(effects, outcome) for outcome in ClaimOutcome if outcome in told),
        _effects_table(effects),
        Picture(
            "effect_by_level",
            figures.effect_by_level(study, effects),
            "Every trial's validation MAE (left) and gap (right) against each hyperparameter, "
            "and the mean of each value. How far the points of one value scatter is what the "
            f"other hyperparameters and the seed do.{_first_factors(effects)}",
        ),
        Text(_interactions(effects)),
        Picture(
            "parallel_coordinates",
            parallel_coordinates(study, effects),
            "A line for each trial, through its hyperparameters to its validation MAE. On the "
            "interactive page, draw along an axis to see only the trials that pass there.",
            parallel_coordinates_interactive(study, effects),
        ),
    ]
    if effects.importances:
        score = effects.forest_score
        trust = (
            "That is enough for the order to mean something."
            if score > 0.3
            else "That is next to nothing: do not read an order into this."
        )
        blocks.append(
            Picture(
                "importances",
                figures.importances(effects),
                "How much worse a random forest explains the validation MAE when a hyperparameter "
                "is shuffled (scikit-learn). R² on trials that its trees have not seen: "
                f"{score:.2f}. {trust}",
            )
        )
    return Section(title, blocks)


def _effects_picture(effects: Effects, outcome: ClaimOutcome) -> Picture:
    return Picture(
        f"effects_on_{outcome}",
        figures.effects_forest(effects, outcome),
        f"What each change does to the {LABELS[outcome]}, in {UNITS[outcome]}, all other "
        "hyperparameters equal; left of the line it falls. Filled: still there after correction "
        "for all effects and interactions (Holm).",
    )


def _how_sure(study: StudyData, effects: Effects) -> str:
    faces = " and other faces" if "val" in study.measured else ""
    words = (
        f"A linear model of {len(study.compared)} complete trials, which leave "
        f"{effects.degrees_of_freedom} degrees of freedom; intervals are over other "
        f"trainings{faces}."
    )
    for key, others in study.merged.items():
        if others:
            words += f" {key} stands for {', '.join(others)}, which changed with it."
    if study.num_pruned:
        words += " Effects among the trials that were not pruned are smaller than they truly are."
    told = {effect.key for effect in effects.effects if not math.isnan(effect.value)}
    untold = [factor.label for factor in effects.factors if factor.key not in told]
    if untold:
        words += (
            f" The effect of {', '.join(untold)} cannot be told from that of other "
            "hyperparameters, which changed together: the table says with which."
        )
    if effects.degrees_of_freedom == 0:
        words += (
            " The trials leave nothing to judge their spread by: differences between them are "
            "differences between single trainings, and no effect has an interval."
        )
    return words


def _effects_table(effects: Effects) -> Table:
    shown = [
        each
        for each in effects.effects
        if not math.isnan(each.value) or each.outcome is ClaimOutcome.val_mae
    ]
    rows = [
        {
            "hyperparameter": each.key.rpartition(".")[2],
            "from": each.low,
            "to": each.high,
            "on": "everything" if math.isnan(each.value) else LABELS[each.outcome],
            "effect [95 %]": _effect(each.value, each.estimate, UNITS[each.outcome]),
            "p (Holm)": "" if math.isnan(each.p_adjusted) else f"{each.p_adjusted:.2g}",
            "changed with": _changed_with(each),
        }
        for each in shown
    ]
    cells = pd.DataFrame(rows)
    if not cells["changed with"].any():
        cells = cells.drop(columns="changed with")
    values = pd.DataFrame(
        {
            "key": each.key, "from": each.low, "to": each.high, "outcome": str(each.outcome),
            "unit": UNITS[each.outcome], "effect": each.value,
            "low": each.estimate.low if each.estimate else math.nan,
            "high": each.estimate.high if each.estimate else math.nan,
            "p_holm": each.p_adjusted,
        }
        for each in effects.effects
    )  # fmt: skip
    return Table(
        "effects",
        cells,
        "Bold: stands after correction for all effects and interactions (Holm, 5 % for the lot). "
        "Each interval is its own 95 %.",
        values,
        marked=[place for place, each in enumerate(shown) if each.stands],
    )


def _first_factors(effects: Effects) -> str:
    shown, in_all = figures.MOST_FACTORS, len(effects.factors)
    return f" The first {shown} of {in_all} hyperparameters." if in_all > shown else ""


def _changed_with(effect: Effect) -> str:
    if not math.isnan(effect.value):
        return ""
    return ", ".join(key.rpartition(".")[2] for key in effect.confounded_with) or "all together"


def _interactions(effects: Effects) -> str:
    standing = [each for each in effects.interactions if each.stands]
    if not effects.interactions:
        return "Interactions cannot be tested with these trials."
    if not standing:
        return (
            f"Of {count(len(effects.interactions), 'pair')} of hyperparameters and outcomes, "
            "none has an interaction that stands after correction (F tests, Holm)."
        )
    lines = [
        f"- {' and '.join(key.rpartition('.')[2] for key in each.keys)} on the "
        f"{LABELS[each.outcome]}: cells depart from the sum of both effects by up to "
        f"{each.largest:.2f} {UNITS[each.outcome]} (p = {each.p_adjusted:.2g})."
        for each in standing
    ]
    lead = "Their effects depend on each other (F tests, Holm):"
    return "\n".join([lead, "", *lines])


def _effect(value: float, estimate: Estimate | None, unit: str) -> str:
    if math.isnan(value):
        return "confounded"
    decimals = 1 if unit == "seconds" else 2
    effect = number(value, "+", decimals)
    if estimate is None:
        return f"{effect} {unit}, no interval"
    ends = (number(end, "+", decimals) for end in (estimate.low, estimate.high))
    return f"{effect} [{', '.join(ends)}] {unit}"
