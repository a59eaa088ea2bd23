"""A study's report: the answer first, then pictures, tables and how it was made."""

import math
import shlex
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from src.analysis import figures, recorded
from src.analysis.checks import Check, check
from src.analysis.claims import Judgement, judge_claims
from src.analysis.effects import LABELS, UNITS, Effect, Effects, estimate_effects
from src.analysis.faces import FaceErrors, face_errors, pull_to_the_mean
from src.analysis.leaderboard import Leader, Leaderboard, leaderboard
from src.analysis.overfitting import RULE
from src.analysis.recorded import SeedTrial, seed_trials
from src.analysis.study_data import StudyData
from src.config.schema import ClaimOutcome
from src.console import spell_seconds
from src.pages import Block, Document, Faces, Picture, Section, Table, Text, escape
from src.search.report import states
from src.statistics import Estimate
from src.tracking.state import State

_BASELINES = {
    "always the median age": "val/median_predictor_mae",
    "always the mean age": "val/mean_predictor_mae",
}


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
        _leaders(study, board),
        _overfitting(study, board),
        _effects(study, effects),
        _checks(check(study, board, effects)),
        _faces(errors, worst_faces),
        _cost(study),
        _reproduce(study),
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
        who = figures.name_of(best.configuration)
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
        lines = [f"- {escape(each.claim.says)} **{_capital(each.answer)}.**" for each in judgements]
        parts.append("\n".join(lines))
    parts += [_left_out(study), study.caveat]
    return "\n\n".join(part for part in parts if part)


def _alike(alike: int, others: int) -> str:
    if not others:
        return "There is no other configuration."
    return f"Of {_count(others, 'other configuration')}, {alike} cannot be told from it."


def _left_out(study: StudyData) -> str:
    """What the numbers do not contain."""
    words = []
    running = sum(t.state in (State.RUNNING, State.WAITING) for t in study.trials)
    if running:
        words.append(f"{_count(running, 'trial')} running or waiting: this is a half-way look.")
    complete = sum(trial.state is State.COMPLETE for trial in study.trials)
    others = complete - len(study.compared)
    if others:
        words.append(
            f"{_count(others, 'complete trial')} left out of all comparisons: other faces or "
            "another split, fewer epochs, an error beyond all measure, or run twice."
        )
    if study.num_pruned:
        words.append(
            f"{_count(study.num_pruned, 'pruned trial')} left out too. They were given up because "
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


def _leaders(study: StudyData, board: Leaderboard) -> Section:
    if not board.leaders:
        return Section("Leaderboard", [Text("No trial is complete: there is nothing to rank.")])
    baselines = _baselines(study)
    blocks: list[Block] = [
        Picture(
            "leaderboard",
            figures.leaders(board, baselines),
            "Validation MAE of each configuration; further left is better. Filled circles cannot "
            f"be told from the best; lines are what no model would reach. {_first(board)}"
            f"{board.method}",
        ),
        _leader_table(study, board, baselines),
    ]
    return Section("Leaderboard", blocks)


def _first(board: Leaderboard) -> str:
    count = len(board.leaders)
    return f"The first {figures.MOST_LEADERS} of {count}. " if count > figures.MOST_LEADERS else ""


def _leader_table(study: StudyData, board: Leaderboard, baselines: Mapping[str, float]) -> Table:
    labels = _labels(study.keys)
    rows = [_cells(row, labels) for row in board.leaders]
    values = [_values(row, labels) for row in board.leaders]
    marked = [place for place, row in enumerate(board.leaders) if row.could_be_best]
    seeds = [] if study.name == recorded.NAME else list(seed_trials())
    for name, mae in baselines.items():
        rows.append({"trials": name, "val MAE [95 %]": f"{mae:.2f}"})
        values.append({"trials": name, "val_mae": mae})
    for trial in seeds:
        rows.append(_recorded_cells(trial, labels))
        values.append(
            {"trials": f"seed study {trial.number}", "val_mae": trial.best_val_mae,
             "low": trial.low, "high": trial.high, "best_epoch": trial.best_epoch}
        )  # fmt: skip
    note = (
        " The seed study's recorded trials stand beside them; other faces, another split and "
        "training errors measured with dropout and augmentation: no more than an orientation."
        if seeds
        else ""
    )
    return Table(
        "leaderboard",
        pd.DataFrame(rows).fillna(""),
        "Bold: cannot be told from the best. MAE, gap in years, in the best epoch; gap is "
        f"validation less training.{note}",
        pd.DataFrame(values),
        marked=marked,
        muted=range(len(board.leaders), len(rows)),
    )


def _labels(keys: Sequence[str]) -> dict[str, str]:
    """The last word of each key; the whole key where last words are the same."""
    words = [key.rpartition(".")[2] for key in keys]
    return {
        key: word if words.count(word) == 1 else key for key, word in zip(keys, words, strict=True)
    }


def _cells(row: Leader, labels: Mapping[str, str]) -> dict[str, str]:
    numbers = [str(trial.number) if trial.number else trial.name for trial in row.trials]
    interval = "" if math.isnan(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
    return {
        "trials": ", ".join(numbers),
        **{labels[key]: value for key, value in row.configuration.items()},
        "val MAE [95 %]": f"{row.val_mae:.2f}{interval}",
        "best?": "could be" if row.could_be_best else "no",
        "train MAE": _number(row.train_mae),
        "gap": _number(row.gap, "+"),
        "best epoch": f"{row.best_epoch:.3g}",
        "s/epoch": _number(row.seconds_per_epoch, decimals=1),
        "verdict": ", ".join(dict.fromkeys(map(str, row.verdicts))),
    }


def _values(row: Leader, labels: Mapping[str, str]) -> dict[str, object]:
    return {
        "trials": " ".join(str(trial.number) for trial in row.trials),
        **{labels[key]: value for key, value in row.configuration.items()},
        "val_mae": row.val_mae, "low": row.low, "high": row.high,
        "could_be_best": row.could_be_best, "train_mae": row.train_mae, "gap": row.gap,
        "best_epoch": row.best_epoch, "seconds_per_epoch": row.seconds_per_epoch,
        "verdict": " ".join(row.verdicts),
    }  # fmt: skip


def _recorded_cells(trial: SeedTrial, labels: Mapping[str, str]) -> dict[str, str]:
    known = {label: trial.params[key] for key, label in labels.items() if key in trial.params}
    return {
        "trials": f"seed study, trial {trial.number}",
        **known,
        "val MAE [95 %]": f"{trial.best_val_mae:.2f} [{trial.low:.2f}, {trial.high:.2f}]",
        "train MAE": f"{trial.train_mae:.2f}",
        "gap": f"{trial.best_val_mae - trial.train_mae:+.2f}",
        "best epoch": str(trial.best_epoch),
        "s/epoch": f"{trial.seconds_per_epoch:.1f}",
    }


def _overfitting(study: StudyData, board: Leaderboard) -> Section:
    begun = [trial for trial in study.trials if len(study.curve(trial))]
    if not begun:
        return Section("Overfitting", [])
    more = len(begun) - figures.MOST_CURVES
    rest = f" The other {more} are on MLflow's charts." if more > 0 else ""
    blocks: list[Block] = [
        Picture(
            "curves",
            figures.curves(study, board),
            f"Each trial's MAE by epoch, best trials first{_how_measured(study)}. The gray area is "
            "the generalisation gap, the star the best epoch, the dotted line the onset: from "
            f"there on training improves and validation does not.{rest}",
        )
    ]
    if study.compared:
        blocks.append(
            Picture(
                "gap_against_mae",
                figures.gap_against_mae(study),
                "Each trial's generalisation gap against its validation MAE, both in its best "
                "epoch. Lower left is better; on the dashed Pareto front nothing is better in "
                "both. A small gap alone is no merit: who learns nothing has none.",
                figures.gap_against_mae_interactive(study),
            )
        )
    return Section("Overfitting", [*blocks, _overfitting_table(study), Text(RULE)])


def _how_measured(study: StudyData) -> str:
    own = "; both errors in inference mode on unchanged pictures"
    return "" if study.caveat else own


def _overfitting_table(study: StudyData) -> Table:
    rows, values = [], []
    for trial in study.trials:
        found = study.overfitting[trial.run_id]
        metrics = trial.metrics
        state = "INFEASIBLE" if "infeasible" in trial.tags else str(trial.state)
        gap, low, high = (metrics.get(f"best/gap{end}", math.nan) for end in ("", "_low", "_high"))
        interval = "" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]"
        name = str(trial.number) if trial.number is not None else trial.name
        rows.append(
            {"trial": name, "state": state, "verdict": str(found.verdict),
             "gap [95 %]": _number(gap, "+") + interval,
             "onset epoch": "" if found.onset_epoch is None else str(found.onset_epoch),
             "degradation": _number(found.degradation, "+"),
             "why": (trial.tags.get("infeasible") or trial.tags.get("pruned")
                     or trial.tags.get("failure", "")).split("\n")[0]}
        )  # fmt: skip
        values.append(
            {"trial": name, "state": state, "verdict": str(found.verdict), "gap": gap,
             "gap_low": low, "gap_high": high, "onset_epoch": found.onset_epoch,
             "degradation": found.degradation}
        )  # fmt: skip
    cells = pd.DataFrame(rows)
    if not cells["why"].any():
        cells = cells.drop(columns="why")
    return Table(
        "overfitting",
        cells,
        "Gap in the best epoch, its interval over faces; onset: the best epoch, where training "
        "went on to improve; degradation: last less best validation MAE. Years.",
        pd.DataFrame(values),
    )


def _effects(study: StudyData, effects: Effects) -> Section:
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
            figures.parallel_coordinates(study, effects),
            "A line for each trial, through its hyperparameters to its validation MAE. On the "
            "interactive page, draw along an axis to see only the trials that pass there.",
            figures.parallel_coordinates_interactive(study, effects),
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
    count = len(study.compared)
    faces = " and other faces" if "val" in study.measured else ""
    words = (
        f"A linear model of {count} complete trials ({effects.degrees_of_freedom} degrees of "
        f"freedom left); intervals are over other trainings{faces}."
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
    shown, count = figures.MOST_FACTORS, len(effects.factors)
    return f" The first {shown} of {count} hyperparameters." if count > shown else ""


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
            f"Of {_count(len(effects.interactions), 'pair')} of hyperparameters and outcomes, "
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


def _checks(checks: Sequence[Check]) -> Section:
    cells = pd.DataFrame(
        {
            "question": [each.question for each in checks],
            "": ["✓" if each.is_passed else "look" for each in checks],
            "answer": [each.answer for each in checks],
        }
    )
    return Section(
        "Four checks",
        [Table("checks", cells, "To be asked before any answer above is believed.")],
    )


def _faces(errors: FaceErrors | None, worst_faces: Sequence[bytes]) -> Section:
    if errors is None:
        return Section("Faces", [])
    blocks: list[Block] = [
        Text(f"Of the best trial ({errors.trial.name}). {pull_to_the_mean(errors)}"),
        Picture(
            "age_bands",
            figures.age_bands(errors),
            "Error and bias of the best trial by age. Bias above the line: guessed too old; "
            "models draw towards the mean age.",
        ),
        Table(
            "age_bands",
            pd.DataFrame(
                {
                    "age": [band.name for band in errors.bands],
                    "n": [str(band.count) for band in errors.bands],
                    "MAE [95 %]": [_interval(band.mae) for band in errors.bands],
                    "bias [95 %]": [_interval(band.bias, "+") for band in errors.bands],
                }
            ),
            "Years. Under some 30 faces the intervals are too narrow.",
        ),
    ]
    if worst_faces:
        numbers = errors.worst[["age", "prediction", "others"]].to_numpy(float)
        labels = [
            f"{age:g} years, guessed {guess:.0f}"
            + ("" if math.isnan(others) else f" (others {others:.0f})")
            for age, guess, others in numbers
        ]
        blocks.append(
            Faces(
                worst_faces,
                labels,
                "The best trial's largest errors; in brackets what the other trials guess, in the "
                "middle. A wrong label or a poor picture shows in all of them.",
            )
        )
    return Section("Faces", blocks)


def _cost(study: StudyData) -> Section:
    seconds = [trial.seconds for trial in study.trials if trial.seconds is not None]
    if not seconds:
        return Section("Cost", [])
    epochs = len(study.curves)
    words = (
        f"{_count(len(seconds), 'trial')}, {epochs:,} epochs, {spell_seconds(sum(seconds))} of "
        "trial time."
    )
    energies = [_kilowatt_hours(trial.metrics, trial.seconds or 0) for trial in study.trials]
    known = [energy for energy in energies if energy is not None]
    if known:
        words += (
            f" GPUs: {sum(known):.2f} kWh ({_count(len(known), 'trial')}, by the last reading of "
            "their power)."
        )
    else:
        words += " Energy: not known (no power was recorded)."
    return Section("Cost", [Text(words)])


def _kilowatt_hours(metrics: Mapping[str, float], seconds: float) -> float | None:
    """From MLflow's last reading of each GPU's power, watts."""
    watts = [
        value
        for key, value in metrics.items()
        if key.startswith("system/gpu_") and key.endswith("power_usage_watts")
    ]
    return sum(watts) * seconds / 3.6e6 if watts else None


def _reproduce(study: StudyData) -> Section:
    lines = [_without_paths(study.command)] if study.command else []
    lines.append(f'make report STUDY="{study.name}"')
    numbers = [trial.number for trial in study.compared if trial.number is not None]
    if numbers:
        lines.append(f'make replay STUDY="{study.name}" TRIAL={numbers[0]}   # any of its trials')
    commits = {t.tags.get("mlflow.source.git.commit", "")[:10] for t in study.trials} - {""}
    code = f"Code: commit {', '.join(sorted(commits))}." if commits else ""
    digests = sorted({trial.data_digest for trial in study.compared} - {""})
    faces = f" Faces and split: digest {', '.join(digests)}." if digests else ""
    return Section("Again", [Text("\n".join(["```", *lines, "```"])), Text(code + faces)])


def _without_paths(command: str) -> str:
    """Whoever reads this has files elsewhere: no path of the machine that ran it."""
    words = []
    for word in shlex.split(command):
        key, equals, value = word.partition("=")
        is_path = bool(equals) and value.strip("'\"").startswith(("/", "~"))
        words.append(f"{key}=<path>" if is_path else shlex.quote(word))
    return " ".join(words)


def _baselines(study: StudyData) -> dict[str, float]:
    found = {name: study.values(metric) for name, metric in _BASELINES.items()}
    return {
        name: float(np.nanmean(values))
        for name, values in found.items()
        if np.isfinite(values).any()
    }


def _effect(value: float, estimate: Estimate | None, unit: str) -> str:
    if math.isnan(value):
        return "confounded"
    decimals = 1 if unit == "seconds" else 2
    number = _number(value, "+", decimals)
    if estimate is None:
        return f"{number} {unit}, no interval"
    ends = (_number(end, "+", decimals) for end in (estimate.low, estimate.high))
    return f"{number} [{', '.join(ends)}] {unit}"


def _interval(triple: tuple[float, float, float], sign: str = "") -> str:
    value, low, high = triple
    interval = "" if math.isnan(low) else f" [{low:{sign}.1f}, {high:{sign}.1f}]"
    return f"{value:{sign}.1f}{interval}"


def _number(value: float, sign: str = "", decimals: int = 2) -> str:
    # Zero has no minus: of what is rounded to it, the sign means nothing.
    return "" if math.isnan(value) else f"{round(value, decimals) + 0.0:{sign}.{decimals}f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
