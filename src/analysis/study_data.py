"""Everything that a report knows of a study."""

import math
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from src.analysis.overfitting import DIVERGED_RATIO, Overfitting, Verdict, judge
from src.config.schema import ClaimConfig, ClaimDirection, ClaimOutcome
from src.core.names import State
from src.records.tables import varied_keys
from src.records.trial import TrialRecord
from src.statistics.intervals import normal_quantile
from src.tracking.bulk_reading import read_curves, read_predictions
from src.tracking.lookup import find_study, recorded_values

CURVE_KEYS = ("mae/train", "mae/val", "time/epoch_seconds")
_NO_HYPERPARAMETERS = ("seed", "fit.fidelity")
_REASONS = ("infeasible", "failure", "pruned")  # tags that say how a trial ended
_PATH = re.compile(r"(?<![\w.])[/~][^\s'\",:;()]*/[^\s'\",:;()]*")


@dataclass(frozen=True)
class Measured:
    """One part of the data, as the trials' best epochs saw it.

    Attributes:
        faces: row, file_name and age (years), one row for each face.
        predictions: Years, shape `(num_trials, num_faces)`.
    """

    faces: pd.DataFrame
    predictions: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Absolute errors, years, shape `(num_trials, num_faces)`."""
        return np.abs(self.predictions - self.faces["age"].to_numpy())


@dataclass(frozen=True)
class StudyData:
    """A study, read once.

    Attributes:
        name: The study's.
        question: What it was to answer.
        claims: Statements to be judged.
        claims_are_late: Whether they were stated after the trials had run.
        experiment_id: MLflow's.
        parent_id: Run of the whole study; empty where it was never swept.
        command: What launched it; empty where that was not recorded.
        caveat: What a reader must know of where its numbers come from; mostly empty.
        trials: All of them, by number.
        curves: One row for each epoch: run_id, epoch, `CURVE_KEYS`.
        measured: By part, `train` and `val`, rows as `compared`; a part that some of them did
            not keep is missing.
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

    @cached_property
    def compared(self) -> tuple[TrialRecord, ...]:
        """Trials whose errors can be compared, see `comparable`."""
        return comparable(self.trials)

    @cached_property
    def merged(self) -> Mapping[str, tuple[str, ...]]:
        """Keys that differ between the compared trials, each with those that it stands for.

        The keys of an augmentation that change together are one hyperparameter; a number stands
        for them, if there is one. A trial's seed and fidelity are none.
        """
        found: dict[str, list[str]] = {}
        patterns: dict[tuple[int, ...], str] = {}
        keys = [key for key in varied_keys(self.compared) if key not in _NO_HYPERPARAMETERS]
        for key in sorted(keys, key=self._is_no_number):
            texts = [trial.params.get(key, "") for trial in self.compared]
            pattern = tuple(texts.index(text) for text in texts)
            if key.startswith("augmentation.") and pattern in patterns:
                found[patterns[pattern]].append(key)
                continue
            if key.startswith("augmentation."):
                patterns[pattern] = key
            found[key] = []
        return {key: tuple(found[key]) for key in sorted(found)}

    @property
    def keys(self) -> tuple[str, ...]:
        """Hyperparameters that differ between the compared trials."""
        return tuple(self.merged)

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Which configuration each compared trial belongs to, from 0; replicates share one."""
        numbers: dict[tuple[str, ...], int] = {}
        configurations = [
            tuple(trial.params.get(key, "") for key in self.keys) for trial in self.compared
        ]
        return tuple(numbers.setdefault(each, len(numbers)) for each in configurations)

    @property
    def num_pruned(self) -> int:
        """Trials that were given up: those left are the better ones, and differ too little."""
        return sum(trial.state is State.PRUNED for trial in self.trials)

    @property
    def has_replicates(self) -> bool:
        """Whether any configuration was trained more than once."""
        return len(set(self.groups)) < len(self.groups)

    def values(self, metric: str) -> np.ndarray:
        """A final scalar of each compared trial; NaN where it was not logged."""
        return np.array([trial.metrics.get(metric, np.nan) for trial in self.compared])

    def recorded_errors(self, metric: str) -> np.ndarray:
        """Standard error of a final scalar over faces, from the interval that each trial logged."""
        width = self.values(f"{metric}_high") - self.values(f"{metric}_low")
        return np.asarray(width / 2 / normal_quantile(0.975))

    def curve(self, trial: TrialRecord) -> pd.DataFrame:
        """A trial's epochs, as in `curves`."""
        return self._curves_by_run.get(trial.run_id, self.curves.iloc[:0])

    @cached_property
    def overfitting(self) -> Mapping[str, Overfitting]:
        """How each trial overfits, by its run's id."""
        known = [t.metrics.get("val/median_predictor_mae", math.nan) for t in self.trials]
        finite = [value for value in known if math.isfinite(value)]
        baseline = statistics.median(finite) if finite else math.nan
        return {trial.run_id: judge(trial, self.curve(trial), baseline) for trial in self.trials}

    def verdict(self, trial: TrialRecord) -> Verdict:
        """In a word."""
        return self.overfitting[trial.run_id].verdict

    def _is_no_number(self, key: str) -> bool:
        texts = (trial.params.get(key, "") for trial in self.compared)
        return not all(re.fullmatch(r"[-+.\de]+", text) for text in texts)

    @cached_property
    def _curves_by_run(self) -> dict[str, pd.DataFrame]:
        return {str(run_id): curve for run_id, curve in self.curves.groupby("run_id")}


def read_study(
    experiment: str, name: str, late_claims: Sequence[ClaimConfig] | None = None
) -> StudyData:
    """Read a study from the store.

    Args:
        experiment: Name of MLflow's experiment.
        name: The study's.
        late_claims: To be judged instead of those that the trials recorded.

    Raises:
        FileNotFoundError: If there is no store.
        ValueError: If the store has no such experiment or study.
    """
    store = find_study(experiment, name)
    trials = tuple(without_paths(trial) for trial in store.trials())
    parent = store.parent_tags()
    begun = [trial for trial in trials if trial.params]
    first, last = (_config(trial) for trial in (begun[:1], begun[-1:]))
    study = StudyData(
        name=name,
        question=parent.get("question") or str(last.get("study.question", "")),
        claims=_claims(last) if late_claims is None else tuple(late_claims),
        claims_are_late=late_claims is not None or _claims(first) != _claims(last),
        experiment_id=store.experiment_id,
        parent_id=store.find_parent(),
        command=parent.get("command", ""),
        caveat=parent.get("caveat", ""),
        trials=trials,
        curves=read_curves(name, trials, CURVE_KEYS),
        measured={},
    )
    return replace(study, measured=_measured(study.compared))


def comparable(trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Trials whose errors can be compared, by number.

    Complete, with a finite error that is not beyond all measure (`DIVERGED_RATIO`); on the
    commonest split of the commonest faces; trained for all their epochs, unless no trial was: a
    search that gives up early leaves shorter ones, whose weights the longer ones go on from. Of
    several runs with one configuration the last counts.
    """
    complete = [trial for trial in trials if trial.state is State.COMPLETE and not diverged(trial)]
    digests = Counter(trial.data_digest for trial in complete)
    if not digests:
        return ()
    commonest = digests.most_common(1)[0][0]
    same = [trial for trial in complete if trial.data_digest == commonest]
    longest = max(_share_of_epochs(trial) for trial in same)
    whole = [trial for trial in same if _share_of_epochs(trial) == longest]
    return tuple({trial.configuration_hash or trial.run_id: trial for trial in whole}.values())


def diverged(trial: TrialRecord) -> bool:
    """Whether a trial's best error is none, or so far off that it says nothing of the others."""
    error = trial.metrics.get("best/val_mae", math.nan)
    baseline = trial.metrics.get("val/median_predictor_mae", math.inf)
    return not math.isfinite(error) or error > DIVERGED_RATIO * baseline


def _share_of_epochs(trial: TrialRecord) -> float:
    fidelity, epochs = (trial.params.get(f"fit.{key}", "None") for key in ("fidelity", "epochs"))
    return float(fidelity) / float(epochs) if "None" not in (fidelity, epochs) else 1.0


def without_paths(trial: TrialRecord) -> TrialRecord:
    """The trial with no path of this machine in what a report shows: parameters and reasons."""
    params = {
        key: value if key.startswith("data.") else _file_name(value)
        for key, value in trial.params.items()
    }
    tags = {
        key: _PATH.sub("<path>", value) if key in _REASONS else value
        for key, value in trial.tags.items()
    }
    return replace(trial, params=params, tags=tags)


def _file_name(value: str) -> str:
    return PurePath(value).name if value.startswith(("/", "~")) else value


def _config(trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """What the trial recorded when it began; empty if there is none."""
    return (recorded_values(trials[0].run_id) if trials else None) or {}


def _claims(config: Mapping[str, Any]) -> tuple[ClaimConfig, ...]:
    return tuple(
        ClaimConfig(
            says=claim["says"],
            raising=claim["raising"],
            moves=ClaimOutcome(claim["moves"]),
            direction=ClaimDirection(claim["direction"]),
            at_least=claim["at_least"],
        )
        for claim in config.get("study.claims") or []
    )


def _measured(trials: Sequence[TrialRecord]) -> dict[str, Measured]:
    """Parts whose predictions all trials kept. One digest means the same faces in one order."""
    found = {}
    for part in ("train", "val"):
        faces = read_predictions(trials[0], part) if trials else None
        if faces is None:
            continue
        tables = [read_predictions(trial, part, ["prediction"]) for trial in trials]
        kept = [table["prediction"].to_numpy(float) for table in tables if table is not None]
        alike = len(kept) == len(trials) and {len(column) for column in kept} == {len(faces)}
        if alike and np.isfinite(kept).all():
            found[part] = Measured(faces.drop(columns="prediction"), np.array(kept))
    return found
