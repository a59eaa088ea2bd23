"""Schema of the configuration beside the model: study, claims, pruning and tracking.

The groups of `schema.py` decide what a trial computes; these decide what it is part of.
"""

from dataclasses import dataclass, field
from enum import StrEnum, auto

from src.config.keys import Affects, at_least, key

LENGTH, NOTHING = Affects.LENGTH, Affects.NOTHING


class PrunerName(StrEnum):
    """Rule that ends a trial which falls behind the others of its study."""

    none = auto()
    median = auto()
    asha = auto()


class Figures(StrEnum):
    """Trials that store figures; MLflow draws the learning curves in any case."""

    all = auto()
    best = auto()
    none = auto()


class Direction(StrEnum):
    """Direction in which the objective improves."""

    minimize = auto()
    maximize = auto()


class KeepModel(StrEnum):
    """Trials that store their best model (95 MB each)."""

    best = auto()
    all = auto()
    none = auto()


class ClaimOutcome(StrEnum):
    """Outcome of a claim, in years, years, and seconds."""

    val_mae = auto()
    gap = auto()
    seconds_per_epoch = auto()


class ClaimDirection(StrEnum):
    """Direction in which the outcome of a claim moves."""

    up = auto()
    down = auto()


@dataclass(frozen=True)
class PrunerConfig:
    """Conditions for ending a trial early because others of its study are better.

    `warmup_epochs`: epochs that every trial gets; the first rung of asha. `min_trials`: for
    median, trials that must have come as far. `reduction_factor`: asha keeps one in so many.
    """

    name: PrunerName = field(metadata=key(NOTHING))
    warmup_epochs: int = field(metadata=key(NOTHING, at_least(1, 3)))
    min_trials: int = field(metadata=key(NOTHING, at_least(1, 3)))
    reduction_factor: int = field(metadata=key(NOTHING, at_least(2, 3)))


@dataclass(frozen=True)
class ClaimConfig:
    """A statement that a study is to test.

    `says` is the statement for people. It means: raising the hyperparameter `raising`, all else
    equal, moves the outcome in this direction by at least `at_least`, in the outcome's unit. With
    `raising` null it means that the outcome itself, of the best configuration, lies above
    (up) or below (down) `at_least`.
    """

    says: str
    raising: str | None
    moves: ClaimOutcome
    direction: ClaimDirection
    at_least: float


@dataclass(frozen=True)
class StudyConfig:
    """The study that a trial belongs to, its objective, and the trial's number and run in it.

    `objective` is the name of a logged outcome, see `src/config/objective.py`. `reference` names a
    table of results that were recorded elsewhere, `conf/study/<reference>.csv`. `run_id` is the
    MLflow run that a sweep has opened for the trial.
    """

    name: str = field(metadata=key(NOTHING))
    question: str = field(metadata=key(NOTHING))
    claims: list[ClaimConfig] = field(metadata=key(NOTHING))
    objective: str = field(metadata=key(LENGTH, neutral="best/val_mae"))
    direction: Direction = field(metadata=key(NOTHING, neutral=Direction.minimize))
    reference: str | None = field(metadata=key(NOTHING, neutral=None))
    trial: int | None = field(metadata=key(NOTHING))
    run_id: str | None = field(metadata=key(NOTHING))


@dataclass(frozen=True)
class TrackingConfig:
    """Records that MLflow keeps."""

    experiment: str = field(metadata=key(NOTHING))
    keep_model: KeepModel = field(metadata=key(NOTHING))
    figures: Figures = field(metadata=key(NOTHING, neutral=Figures.all))
    system_metrics: bool = field(metadata=key(NOTHING))
