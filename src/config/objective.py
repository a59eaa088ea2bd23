"""The objective of a study: the outcome that its search, leaderboard and champion compare."""

import math
from dataclasses import dataclass

from src.config.study_schema import Direction, StudyConfig
from src.core import names

_EPOCH_METRICS = {
    names.BEST_VAL_MAE: names.VAL_MAE,
    names.LAST_VAL_MAE: names.VAL_MAE,
    "val/mae": names.VAL_MAE,
}


@dataclass(frozen=True)
class Objective:
    """An outcome of a trial and its direction.

    Attributes:
        metric: Name of a scalar that each trial logs, such as `best/val_mae`.
        direction: Which values are better.
    """

    metric: str = names.BEST_VAL_MAE
    direction: Direction = Direction.minimize

    @property
    def keeps_last_epoch(self) -> bool:
        """Returns whether the last epoch's weights are kept, not those with the least `mae/val`."""
        return self.metric.startswith("last/")

    @property
    def epoch_metric(self) -> str | None:
        """Per-epoch metric that prunes trials and stops them early; None where there is none."""
        return _EPOCH_METRICS.get(self.metric)

    def cost(self, value: float) -> float:
        """Returns the value as a number to minimise; infinity for one that is not finite."""
        if not math.isfinite(value):
            return math.inf
        return value if self.direction is Direction.minimize else -value


def objective_of(study: StudyConfig) -> Objective:
    """Returns the objective of a study."""
    return Objective(study.objective, study.direction)
