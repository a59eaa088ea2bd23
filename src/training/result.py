"""What a trial came to."""

import math
from dataclasses import dataclass

from src.tracking import Run, State
from src.tracking.links import run_link
from src.training.history import History


@dataclass(frozen=True)
class TrialResult:
    """What a trial came to.

    Attributes:
        state: COMPLETE, PRUNED, or FAILED where the configuration is infeasible.
        val_mae: The objective, years, at the best epoch; infinite where infeasible.
        metrics: Final scalars, as in MLflow; empty where infeasible.
        history: Its finished epochs.
        run_id: The run in MLflow.
        experiment_id: Its experiment there.
        infeasible: Why the configuration is infeasible, or empty.
        pruned: Why the trial was cut short, or empty.
    """

    state: State
    val_mae: float
    metrics: dict[str, float]
    history: History
    run_id: str
    experiment_id: str
    infeasible: str = ""
    pruned: str = ""

    @classmethod
    def of_measured(cls, run: Run, history: History, metrics: dict[str, float]) -> "TrialResult":
        """A trial that ran to its end, or was cut short."""
        return cls(
            State.PRUNED if run.pruned else State.COMPLETE,
            metrics["best/val_mae"],
            metrics,
            history,
            run.id,
            run.experiment_id,
            pruned=run.pruned,
        )

    @classmethod
    def of_infeasible(cls, run: Run, history: History, reason: str) -> "TrialResult":
        """A trial whose configuration cannot be evaluated."""
        return cls(State.FAILED, math.inf, {}, history, run.id, run.experiment_id, reason)

    def headline(self) -> str:
        """One sentence: the error with its interval, the gap, and what no model would reach."""
        if self.infeasible:
            return f"Infeasible: {self.infeasible}."
        metrics = self.metrics
        low, high = metrics["best/val_mae_low"], metrics["best/val_mae_high"]
        interval = "one face" if math.isnan(low) else f"95 % interval {low:.2f}–{high:.2f}"
        pruned = f"Pruned: {self.pruned}. " if self.pruned else ""
        return (
            f"{pruned}Validation MAE {self.val_mae:.2f} years ({interval}) "
            f"in epoch {metrics['best/epoch']:.0f}, gap {metrics['best/gap']:+.2f}; "
            f"always guessing the median: {metrics['val/median_predictor_mae']:.2f}."
        )

    def page(self) -> str:
        """Returns the link to the run on MLflow's page."""
        return run_link(self.experiment_id, self.run_id)
