"""Everything that a report knows of a study."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from src.analysis.overfitting import Overfitting, Verdict, judge
from src.config.schema import ClaimConfig, ClaimDirection, ClaimOutcome
from src.search.report import varied_keys
from src.tracking.archive import find_study, recorded_config
from src.tracking.reading import read_curves, read_predictions
from src.tracking.state import State
from src.tracking.study import TrialRecord

CURVE_KEYS = ("mae/train", "mae/val", "time/epoch_seconds")


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
        """Complete trials on one set of faces, the commonest: their errors can be compared."""
        return comparable(self.trials)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Hyperparameters that differ between the compared trials; the seed is none.

        Of keys of one group that always change together, such as those of an augmentation, one
        stands for all: a number, if there is one.
        """
        seen: dict[tuple[str, tuple[int, ...]], str] = {}
        for key in sorted(varied_keys(self.compared), key=self._is_no_number):
            texts = [trial.params.get(key, "") for trial in self.compared]
            pattern = tuple(texts.index(text) for text in texts)
            if key != "seed":
                seen.setdefault((key.partition(".")[0], pattern), key)
        return tuple(sorted(seen.values()))

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Which configuration each compared trial belongs to, from 0; replicates share one."""
        numbers: dict[tuple[str, ...], int] = {}
        configurations = [
            tuple(trial.params.get(key, "") for key in self.keys) for trial in self.compared
        ]
        return tuple(numbers.setdefault(each, len(numbers)) for each in configurations)

    @property
    def has_replicates(self) -> bool:
        """Whether any configuration was trained more than once."""
        return len(set(self.groups)) < len(self.groups)

    def values(self, metric: str) -> np.ndarray:
        """A final scalar of each compared trial; NaN where it was not logged."""
        return np.array([trial.metrics.get(metric, np.nan) for trial in self.compared])

    def curve(self, trial: TrialRecord) -> pd.DataFrame:
        """A trial's epochs, as in `curves`."""
        return self._curves_by_run.get(trial.run_id, self.curves.iloc[:0])

    @cached_property
    def overfitting(self) -> Mapping[str, Overfitting]:
        """How each trial overfits, by its run's id."""
        return {trial.run_id: judge(trial, self.curve(trial)) for trial in self.trials}

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
    trials = tuple(store.trials())
    parent = store.parent_tags()
    recorded = _last_config(trials)
    claims = _claims(recorded) if late_claims is None else tuple(late_claims)
    question = str(recorded.get("study.question", ""))
    return StudyData(
        name=name,
        question=parent.get("question", question),
        claims=claims,
        claims_are_late=late_claims is not None,
        experiment_id=store.experiment_id,
        parent_id=store.find_parent(),
        command=parent.get("command", ""),
        caveat=parent.get("caveat", ""),
        trials=trials,
        curves=read_curves(name, trials, CURVE_KEYS),
        measured=_measured(comparable(trials)),
    )


def comparable(trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Complete trials that share the commonest split of the commonest faces, once each.

    Of several runs with one configuration the last counts.
    """
    complete = [
        trial
        for trial in trials
        if trial.state is State.COMPLETE and "best/val_mae" in trial.metrics
    ]
    digests = Counter(trial.data_digest for trial in complete)
    if not digests:
        return ()
    commonest = digests.most_common(1)[0][0]
    last = {t.configuration_hash or t.run_id: t for t in complete if t.data_digest == commonest}
    return tuple(last.values())


def _last_config(trials: Sequence[TrialRecord]) -> dict[str, object]:
    """The configuration of the newest trial that ever began."""
    for trial in reversed(trials):
        config = recorded_config(trial.run_id) if trial.params else None
        if config is not None:
            return config
    return {}


def _claims(config: Mapping[str, object]) -> tuple[ClaimConfig, ...]:
    recorded = config.get("study.claims")
    return tuple(
        ClaimConfig(
            says=claim["says"],
            raising=claim["raising"],
            moves=ClaimOutcome(claim["moves"]),
            direction=ClaimDirection(claim["direction"]),
            at_least=claim["at_least"],
        )
        for claim in (recorded if isinstance(recorded, list) else [])
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
        if len(kept) == len(trials) and {len(column) for column in kept} == {len(faces)}:
            found[part] = Measured(faces.drop(columns="prediction"), np.array(kept))
    return found
