"""Configurations, the best first, each with how sure its place is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from src.analysis.overfitting import Verdict
from src.analysis.study_data import StudyData
from src.records.trial import TrialRecord
from src.statistics import Contenders, holm
from src.statistics.intervals import normal_quantile

_METRICS = (
    "best/val_mae", "best/train_mae", "best/gap", "best/epoch", "time/seconds_per_epoch",
)  # fmt: skip


@dataclass(frozen=True)
class Leader:
    """A configuration with the mean of its trials.

    Attributes:
        configuration: Value by hyperparameter, those that are varied.
        trials: Its replicates.
        val_mae: Best validation MAE, years.
        low: Lower end of its 95 % interval; NaN where there is none.
        high: Upper end.
        train_mae: Training MAE in the best epochs, years.
        gap: Generalisation gap there, years.
        best_epoch: Mean of the replicates'.
        seconds_per_epoch: Typical.
        verdicts: On the overfitting of each trial.
        could_be_best: Whether it cannot be told from the best.
    """

    configuration: dict[str, str]
    trials: tuple[TrialRecord, ...]
    val_mae: float
    low: float
    high: float
    train_mae: float
    gap: float
    best_epoch: float
    seconds_per_epoch: float
    verdicts: tuple[Verdict, ...]
    could_be_best: bool


@dataclass(frozen=True)
class Leaderboard:
    """All configurations whose errors can be compared.

    Attributes:
        leaders: The best first; empty where no trial is complete.
        optimism: By how many years the first one's MAE flatters it because it came first; NaN
            where errors of single faces were not kept.
        method: How intervals and marks came about, a sentence.
    """

    leaders: tuple[Leader, ...]
    optimism: float
    method: str


def leaderboard(study: StudyData) -> Leaderboard:
    """Rank the configurations of a study."""
    if not study.compared:
        return Leaderboard((), math.nan, "")
    groups = np.array(study.groups)
    if "val" in study.measured:
        contenders = Contenders.of_trials(study.measured["val"].errors, study.groups)
        ends, marks, optimism = (
            contenders.intervals(),
            contenders.could_be_best(),
            contenders.optimism(),
        )
        method = _method(study, contenders)
    else:
        ends, marks = _from_recorded_intervals(study, groups)
        optimism = math.nan
        method = (
            "Errors of single faces were not kept: intervals are as recorded, marks come from an "
            "unpaired test (Holm). It is rough: it knows neither what the trials have in common by "
            "their faces, nor how seeds differ."
        )
    columns = {metric: study.values(metric) for metric in _METRICS}
    rows = [
        _leader(study, columns, np.flatnonzero(groups == group), ends[group], bool(marks[group]))
        for group in range(groups.max() + 1)
    ]
    return Leaderboard(tuple(sorted(rows, key=lambda row: row.val_mae)), optimism, method)


def _leader(
    study: StudyData,
    columns: Mapping[str, np.ndarray],
    places: np.ndarray,
    ends: np.ndarray,
    mark: bool,
) -> Leader:
    trials = tuple(study.compared[place] for place in places)

    def mean(metric: str) -> float:
        return float(np.mean(columns[metric][places]))

    return Leader(
        configuration={key: trials[0].params.get(key, "") for key in study.keys},
        trials=trials,
        val_mae=mean("best/val_mae"),
        low=float(ends[0]),
        high=float(ends[1]),
        train_mae=mean("best/train_mae"),
        gap=mean("best/gap"),
        best_epoch=mean("best/epoch"),
        seconds_per_epoch=mean("time/seconds_per_epoch"),
        verdicts=tuple(study.verdict(trial) for trial in trials),
        could_be_best=mark,
    )


def _method(study: StudyData, contenders: Contenders) -> str:
    faces = f"{contenders.errors.shape[1]:,} validation faces"
    paired = "marks from a paired bootstrap of all configurations together, 95 % for the lot"
    if study.has_replicates:
        return (
            f"Intervals: 95 %, over {faces} (bootstrap) and over trainings (spread of replicates, "
            f"pooled, {contenders.degrees_of_freedom} degrees of freedom); {paired}."
        )
    return (
        f"Intervals: 95 %, bootstrap over {faces}; {paired}. There are no replicates: what "
        "another seed would change is in neither, so marks are about these trained models, not "
        "about their configurations."
    )


def _from_recorded_intervals(study: StudyData, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From each trial's own interval, as if every trial had had other faces."""
    count = int(groups.max()) + 1
    means, errors, z = np.empty(count), np.empty(count), normal_quantile(0.975)
    recorded = study.recorded_errors("best/val_mae")
    for group in range(count):
        members = groups == group
        means[group] = study.values("best/val_mae")[members].mean()
        # Replicates share their faces, so their mean is no surer than one of them.
        errors[group] = recorded[members].mean()
    best = int(np.argmin(means))
    if count == 1 or not np.isfinite(errors).all():
        marks = np.ones(count, bool)
    else:
        marks = np.array(_adjusted(means, errors, best) >= 0.05)
    return np.column_stack([means - z * errors, means + z * errors]), marks


def _adjusted(means: np.ndarray, errors: np.ndarray, best: int) -> np.ndarray:
    spread = np.sqrt(errors**2 + errors[best] ** 2)
    p_values = [
        1.0 if place == best else math.erfc((means[place] - means[best]) / spread[place] / 2**0.5)
        for place in range(len(means))
    ]
    others: Sequence[int] = [place for place in range(len(means)) if place != best]
    adjusted = np.ones(len(means))
    adjusted[list(others)] = holm([p_values[place] for place in others])
    return adjusted
