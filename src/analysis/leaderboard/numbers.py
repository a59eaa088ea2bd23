"""Ranking of the configurations, with intervals and tests."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.analysis.overfitting.numbers import Verdict
from src.analysis.study_data import StudyData
from src.core import names
from src.records.trial import TrialRecord
from src.statistics.comparison import Contenders, holm
from src.statistics.intervals import Z_95


@dataclass(frozen=True)
class Leader:
    """A configuration with the means of its trials.

    Attributes:
        configuration: Value by hyperparameter, those that are varied.
        trials: Its replicates.
        value: The objective.
        low: Lower end of its 95 % interval; NaN where there is none.
        high: Upper end.
        train_mae: Training MAE of the kept epochs.
        gap: Generalisation gap of the kept epochs.
        best_epoch: Epoch with the least validation MAE.
        seconds_per_epoch: Typical duration of an epoch.
        verdicts: On the overfitting of each trial.
        could_be_best: Whether it is not significantly worse than the best; None without a test.
    """

    configuration: dict[str, str]
    trials: tuple[TrialRecord, ...]
    value: float
    low: float
    high: float
    train_mae: float
    gap: float
    best_epoch: float
    seconds_per_epoch: float
    verdicts: tuple[Verdict, ...]
    could_be_best: bool | None


@dataclass(frozen=True)
class Leaderboard:
    """All configurations whose outcomes can be compared.

    Attributes:
        leaders: Best first; empty where no trial is complete.
        optimism: Selection bias of the best one's error, >= 0; NaN without errors of single faces.
        method: Methods of the intervals and tests, in sentences.
        is_tested: Whether the configurations were tested against the best.
    """

    leaders: tuple[Leader, ...]
    optimism: float
    method: str
    is_tested: bool


def leaderboard(study: StudyData) -> Leaderboard:
    """Returns the configurations of a study, ranked by its objective."""
    if not study.compared:
        return Leaderboard((), math.nan, "", is_tested=False)
    members = [np.equal(study.groups, group) for group in range(max(study.groups) + 1)]
    optimism, marks = math.nan, None
    if study.compares_errors and "val" in study.measured:
        contenders = Contenders(study.measured["val"].errors, study.groups)
        ends, marks = contenders.intervals(), contenders.could_be_best()
        optimism, method = contenders.optimism(), _method(study, contenders)
    else:
        metric = study.terms.objective.metric
        values, recorded = study.values(metric), study.recorded_errors(metric)
        means = np.array([values[each].mean() for each in members])
        # Replicates share their faces, so their mean is no more certain than one of them.
        errors = np.array([recorded[each].mean() for each in members])
        ends = np.column_stack([means - Z_95 * errors, means + Z_95 * errors])
        if study.compares_errors:
            marks = _unpaired_test(means, errors)
            method = (
                "Errors of single faces were not kept: intervals are as recorded, and the test is "
                "unpaired (Holm), as if the trials had different faces and equal seeds."
            )
        else:
            method = (
                f"No test: {study.terms.phrase} is not an error on the validation faces, so "
                "configurations cannot be compared face by face."
            )
    rows = []
    for group, each in enumerate(members):
        trials = list(itertools.compress(study.compared, each))
        mark = None if marks is None else bool(marks[group])
        rows.append(_leader(study, trials, ends[group].tolist(), mark))
    rows.sort(key=lambda row: study.terms.objective.cost(row.value))
    return Leaderboard(tuple(rows), optimism, method, marks is not None)


def baselines(study: StudyData) -> dict[str, float]:
    """Returns the error of each constant prediction, by name; empty for other objectives."""
    metrics = {"median": names.MEDIAN_PREDICTOR_MAE, "mean": names.MEAN_PREDICTOR_MAE}
    return {
        f"always the {name} {study.terms.target.name}": float(np.nanmean(study.values(metric)))
        for name, metric in metrics.items()
        if study.compares_errors and np.isfinite(study.values(metric)).any()
    }


def reference_leaders(study: StudyData) -> dict[str, Leader]:
    """Returns the results recorded elsewhere that have the study's objective and unit, by name."""
    metric, unit, found = study.terms.objective.metric, study.terms.target.unit, {}
    if study.reference is None:
        return {}
    for trial in study.reference.trials:
        if metric in trial.metrics and trial.params.get("target.unit", unit) == unit:
            ends = [trial.metrics.get(end(metric), math.nan) for end in (names.low, names.high)]
            name = f"{study.reference.name}, {trial.name}"
            found[name] = _leader(study, [trial], ends, None)
    return found


def _leader(
    study: StudyData, trials: Sequence[TrialRecord], ends: Sequence[float], mark: bool | None
) -> Leader:
    is_last = study.terms.objective.keeps_last_epoch
    runs = [trial.run_id for trial in trials]

    def mean(metric: str) -> float:
        return float(np.mean([trial.metrics.get(metric, math.nan) for trial in trials]))

    return Leader(
        configuration={key: trials[0].params.get(key, "") for key in study.keys},
        trials=tuple(trials),
        value=mean(study.terms.objective.metric),
        low=ends[0],
        high=ends[1],
        train_mae=mean(names.LAST_TRAIN_MAE if is_last else names.BEST_TRAIN_MAE),
        gap=mean(names.LAST_GAP if is_last else names.BEST_GAP),
        best_epoch=mean(names.BEST_EPOCH),
        seconds_per_epoch=mean(names.SECONDS_PER_EPOCH),
        verdicts=tuple(study.overfitting[key].verdict for key in runs if key in study.overfitting),
        could_be_best=mark,
    )


def _method(study: StudyData, contenders: Contenders) -> str:
    faces = f"{contenders.errors.shape[1]:,} validation faces"
    test = "the test is a paired bootstrap of all configurations together, at 95 % for all of them"
    if study.has_replicates:
        return (
            f"Intervals: 95 %, over {faces} (bootstrap) and over trainings (variance of "
            f"replicates, pooled, {contenders.degrees_of_freedom} degrees of freedom); {test}."
        )
    return (
        f"Intervals: 95 %, bootstrap over {faces}; {test}. Without replicates the variance between "
        "seeds is unknown: the test compares these trained models, not their configurations."
    )


def _unpaired_test(means: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Returns which means are not significantly greater than the least, as if faces differed."""
    marks = np.ones(len(means), bool)
    if len(means) > 1 and np.isfinite(errors).all():
        best = int(np.argmin(means))
        others = np.delete(np.arange(len(means)), best)
        spread = np.hypot(errors[others], errors[best])
        distances = (means[others] - means[best]) / spread
        p_values = [math.erfc(distance / 2**0.5) for distance in distances]
        marks[others] = holm(p_values) >= 0.05
    return marks
