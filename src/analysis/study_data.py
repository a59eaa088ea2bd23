"""Records of a study, read once for its report."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from src.analysis.overfitting.numbers import DIVERGED_RATIO, Overfitting, judge
from src.analysis.references import Reference, read_reference
from src.config import Objective
from src.config.study_schema import ClaimConfig, ClaimDirection, ClaimOutcome, Direction
from src.core import names
from src.core.names import State
from src.records.tables import varied_keys
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.statistics.intervals import Z_95
from src.tracking.bulk_reading import read_curves, read_predictions
from src.tracking.lookup import find_study, recorded_values

CURVE_KEYS = (names.TRAIN_MAE, names.VAL_MAE, names.EPOCH_SECONDS)
_OLD_LABEL = "age"  # label column of predictions that were written before the key `target.name`
_NO_HYPERPARAMETERS = ("seed", "fit.fidelity")
_REASONS = {names.INFEASIBLE, names.FAILURE, names.PRUNED}
_PATH = re.compile(r"(?<![\w.])[/~][^\s'\",:;()]*/[^\s'\",:;()]*")


@dataclass(frozen=True)
class Measured:
    """Predictions of the trials' kept epochs for one part of the data.

    Attributes:
        faces: row, file_name and label, one row for each face.
        predictions: Shape `(num_trials, num_faces)`.
    """

    faces: pd.DataFrame
    predictions: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Absolute errors, shape `(num_trials, num_faces)`."""
        return np.abs(self.predictions - self.faces["label"].to_numpy())


@dataclass(frozen=True)
class StudyData:
    """A study.

    Attributes:
        name: The study's name.
        question: The question that it answers.
        claims: Statements to be judged.
        claims_are_late: Whether they were stated after the trials had run.
        experiment_id: MLflow's.
        parent_id: Run of the whole study; empty where it was never swept.
        command: Command that launched it; empty where that was not recorded.
        caveat: Limits of its numbers; mostly empty.
        trials: All of them, by number.
        curves: One row for each epoch: run_id, epoch, `CURVE_KEYS`.
        measured: By part, `train` and `val`, rows as `compared`; a part that some of the compared
            trials did not keep is missing.
        terms: Its target and objective.
        reference: Results recorded elsewhere, to be shown beside its own.
    """

    name: str
    question: str
    claims: tuple[ClaimConfig, ...]
    claims_are_late: bool
    experiment_id: str
    parent_id: str
    command: str
    caveat: str
    trials: tuple[TrialRecord, ...]
    curves: pd.DataFrame
    measured: Mapping[str, Measured]
    terms: Terms = field(default_factory=Terms)
    reference: Reference | None = None

    @cached_property
    def compared(self) -> tuple[TrialRecord, ...]:
        """Trials whose errors can be compared, see `comparable`."""
        return comparable(self.trials, self.terms.objective)

    @cached_property
    def merged(self) -> Mapping[str, tuple[str, ...]]:
        """Keys that differ between the compared trials, each with the keys that it represents.

        The keys of an augmentation that change together are one hyperparameter; a numeric one
        represents them, if there is one. Seed and fidelity are not hyperparameters.
        """
        alike: dict[object, list[str]] = defaultdict(list)
        keys = [key for key in varied_keys(self.compared) if key not in _NO_HYPERPARAMETERS]
        for key in sorted(keys, key=self._is_not_numeric):
            texts = [trial.params.get(key, "") for trial in self.compared]
            pattern = tuple(texts.index(text) for text in texts)
            alike[pattern if key.startswith("augmentation.") else key].append(key)
        return {key: tuple(others) for key, *others in sorted(alike.values())}

    @property
    def keys(self) -> tuple[str, ...]:
        """Hyperparameters that differ between the compared trials."""
        return tuple(self.merged)

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Index of each compared trial's configuration, from 0; replicates share one."""
        configurations = [
            tuple(trial.params.get(key, "") for key in self.keys) for trial in self.compared
        ]
        return tuple(pd.factorize(pd.Series(configurations, dtype=object))[0].tolist())

    @property
    def num_pruned(self) -> int:
        """Number of pruned trials; without them the others differ too little."""
        return sum(trial.state is State.PRUNED for trial in self.trials)

    @property
    def has_replicates(self) -> bool:
        """True if any configuration was trained more than once."""
        return len(set(self.groups)) < len(self.groups)

    @property
    def compares_errors(self) -> bool:
        """True if the objective is the mean of the kept epoch's errors on validation faces."""
        objective = self.terms.objective
        is_error = objective.epoch_metric == names.VAL_MAE
        return is_error and objective.direction is Direction.minimize

    def values(self, metric: str) -> np.ndarray:
        """Returns a final scalar of each compared trial; NaN where it was not logged."""
        return np.array([trial.metrics.get(metric, np.nan) for trial in self.compared])

    def recorded_errors(self, metric: str) -> np.ndarray:
        """Returns the standard errors of a final scalar, from the intervals that trials logged."""
        width = self.values(names.high(metric)) - self.values(names.low(metric))
        return np.asarray(width / 2 / Z_95)

    def curve(self, trial: TrialRecord) -> pd.DataFrame:
        """Returns the epochs of a trial, as in `curves`."""
        return self._curves_by_run.get(trial.run_id, self.curves.iloc[:0])

    @cached_property
    def overfitting(self) -> Mapping[str, Overfitting]:
        """Overfitting of each trial, by its run's id."""
        known = [t.metrics.get(names.MEDIAN_PREDICTOR_MAE, math.nan) for t in self.trials]
        baseline = float(pd.Series(known, dtype=float).median())
        return {trial.run_id: judge(trial, self.curve(trial), baseline) for trial in self.trials}

    def _is_not_numeric(self, key: str) -> bool:
        texts = (trial.params.get(key, "") for trial in self.compared)
        return not all(re.fullmatch(r"[-+.\de]+", text) for text in texts)

    @cached_property
    def _curves_by_run(self) -> dict[str, pd.DataFrame]:
        return {str(run_id): curve for run_id, curve in self.curves.groupby("run_id")}


def read_study(
    experiment: str | None, name: str, late_claims: Sequence[ClaimConfig] | None = None
) -> StudyData:
    """Returns a study of the store.

    Args:
        experiment: Name of MLflow's experiment; None to look in all.
        name: The study's name.
        late_claims: Claims to be judged instead of those that the trials recorded.

    Raises:
        MissingFileError: If there is no store.
        UsageError: If the store has no such experiment or study.
    """
    store = find_study(experiment, name)
    trials = tuple(without_paths(trial) for trial in store.trials())
    parent = store.parent_tags()
    begun = [trial for trial in trials if trial.params]
    first, last = (_recorded(trial) for trial in (begun[:1], begun[-1:]))
    reference = last.get("study.reference")
    study = StudyData(
        name=name,
        question=parent.get(names.QUESTION) or str(last.get("study.question", "")),
        claims=_claims(last) if late_claims is None else tuple(late_claims),
        claims_are_late=late_claims is not None or _claims(first) != _claims(last),
        experiment_id=store.experiment_id,
        parent_id=store.find_parent(),
        command=parent.get(names.COMMAND, ""),
        caveat=parent.get(names.CAVEAT, ""),
        trials=trials,
        curves=read_curves(name, trials, CURVE_KEYS),
        measured={},
        terms=store.terms(),
        reference=read_reference(reference) if reference and reference != name else None,
    )
    return replace(study, measured=_measured(study.compared, study.terms.target.column))


def comparable(trials: Sequence[TrialRecord], objective: Objective) -> tuple[TrialRecord, ...]:
    """Returns the trials whose outcomes can be compared, by number.

    They are complete and have not `diverged`; they have the most frequent data digest; and they
    have trained for all their epochs, unless no trial has: the longer trials of Hyperband continue
    from the weights of shorter ones. Of several runs with one configuration the last counts.
    """
    complete = [t for t in trials if t.state is State.COMPLETE and not diverged(t, objective)]
    digests = Counter(trial.data_digest for trial in complete).most_common(1)
    same = [trial for trial in complete if trial.data_digest == digests[0][0]]
    longest = max(map(_share_of_epochs, same), default=1.0)
    whole = [trial for trial in same if _share_of_epochs(trial) == longest]
    return tuple({trial.configuration_hash or trial.run_id: trial for trial in whole}.values())


def diverged(trial: TrialRecord, objective: Objective) -> bool:
    """Returns whether the objective is not finite, or the error is far above the baseline's."""
    is_error = objective.epoch_metric == names.VAL_MAE
    metric = objective.metric if is_error else names.BEST_VAL_MAE
    error = trial.metrics.get(metric, math.nan)
    baseline = trial.metrics.get(names.MEDIAN_PREDICTOR_MAE, math.inf)
    value = trial.metrics.get(objective.metric, math.nan)
    return not math.isfinite(error + value) or error > DIVERGED_RATIO * baseline


def _share_of_epochs(trial: TrialRecord) -> float:
    fidelity, epochs = (trial.params.get(f"fit.{key}", "None") for key in ("fidelity", "epochs"))
    return float(fidelity) / float(epochs) if "None" not in (fidelity, epochs) else 1.0


def without_paths(trial: TrialRecord) -> TrialRecord:
    """Returns the trial without paths of this machine in parameters and reasons."""
    files = {
        key: PurePath(value).name
        for key, value in trial.params.items()
        if value.startswith(("/", "~")) and not key.startswith("data.")
    }
    reasons = {key: _PATH.sub("<path>", trial.tags[key]) for key in trial.tags.keys() & _REASONS}
    return replace(trial, params={**trial.params, **files}, tags={**trial.tags, **reasons})


def _recorded(trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """Returns the configuration of the first trial; empty if there is none."""
    return (recorded_values(trials[0].run_id) if trials else None) or {}


def _claims(config: Mapping[str, Any]) -> tuple[ClaimConfig, ...]:
    types = {"moves": ClaimOutcome, "direction": ClaimDirection}
    return tuple(
        ClaimConfig(**claim | {key: enum(claim[key]) for key, enum in types.items()})
        for claim in config.get("study.claims") or []
    )


def _measured(trials: Sequence[TrialRecord], label: str) -> dict[str, Measured]:
    """Returns the parts whose predictions all trials kept.

    Trials with one digest have the same faces in the same order.
    """
    found = {}
    for part in ("train", "val"):
        faces = read_predictions(trials[0], part) if trials else None
        if faces is None:
            continue
        tables = [read_predictions(trial, part, ["prediction"]) for trial in trials]
        kept = [table["prediction"].to_numpy(float) for table in tables if table is not None]
        alike = len(kept) == len(trials) and {len(column) for column in kept} == {len(faces)}
        if alike and np.isfinite(kept).all():
            column = label if label in faces else _OLD_LABEL
            faces = faces.drop(columns="prediction").rename(columns={column: "label"})
            found[part] = Measured(faces, np.array(kept))
    return found
