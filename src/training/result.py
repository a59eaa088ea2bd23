"""Result of a trial."""

import math
from dataclasses import dataclass

from src.config.study_schema import Direction
from src.core import names
from src.core.names import State
from src.records.terms import Terms
from src.training.history import History


@dataclass(frozen=True)
class TrialResult:
    """Result of a trial.

    Attributes:
        terms: Target and objective of its study.
        metrics: Final scalars, as in MLflow; empty if infeasible.
        history: Its finished epochs.
        run_id: Its run in MLflow.
        infeasible: Reason why the configuration is infeasible, or empty.
        pruned: Reason why the trial was pruned, or empty.
        artifact_failure: Which files could not be stored, and why; or empty.
    """

    terms: Terms
    metrics: dict[str, float]
    history: History
    run_id: str
    infeasible: str = ""
    pruned: str = ""
    artifact_failure: str = ""

    @property
    def state(self) -> State:
        """COMPLETE, PRUNED, or FAILED if the configuration is infeasible."""
        if self.infeasible:
            return State.FAILED
        return State.PRUNED if self.pruned else State.COMPLETE

    @property
    def value(self) -> float:
        """The objective; the worst infinity if the configuration is infeasible."""
        objective = self.terms.objective
        worst = math.inf if objective.direction is Direction.minimize else -math.inf
        return self.metrics.get(objective.metric, worst)

    def headline(self) -> str:
        """Returns the objective with its interval, the gap, and the error without a model."""
        if self.infeasible:
            return f"Infeasible: {self.infeasible}."
        metrics, terms = self.metrics, self.terms
        metric, keeps_last = terms.objective.metric, terms.objective.keeps_last_epoch
        phrase = terms.phrase  # a bare metric keeps its spelling
        if phrase != metric:
            phrase = phrase[0].upper() + phrase[1:]
        low, high = (metrics.get(name(metric)) for name in (names.low, names.high))
        interval = ""
        if low is not None and high is not None:
            inner = "one face" if math.isnan(low) else f"95 % interval {low:.2f}–{high:.2f}"
            interval = f" ({inner})"
        pruned = f"Pruned: {self.pruned}. " if self.pruned else ""
        gap = metrics[names.LAST_GAP if keeps_last else names.BEST_GAP]
        amount = f"{self.value:.2f} {terms.unit}".rstrip()
        return (
            f"{pruned}{phrase} {amount}{interval} in epoch {self.history.kept_epoch}, "
            f"gap {gap:+.2f}; always guessing the median: "
            f"{metrics[names.MEDIAN_PREDICTOR_MAE]:.2f}."
        )
