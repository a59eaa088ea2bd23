"""Terms of a study: what its trials predict, and which outcome is compared."""

import dataclasses
from dataclasses import dataclass, field

from src.config import Objective, TargetConfig
from src.config.keys import declaration
from src.core import names


def neutral_target() -> TargetConfig:
    """Returns the target of records that were written before the group `target` existed."""
    values = {
        each.name: declaration(each.metadata).neutral for each in dataclasses.fields(TargetConfig)
    }
    return TargetConfig(**values)


@dataclass(frozen=True)
class Terms:
    """Target and objective of a study.

    Attributes:
        target: The predicted quantity.
        objective: The compared outcome.
    """

    target: TargetConfig = field(default_factory=neutral_target)
    objective: Objective = field(default_factory=Objective)

    @property
    def title(self) -> str:
        """The objective as a column heading, such as `best MAE`."""
        return {names.BEST_VAL_MAE: "best MAE", names.LAST_VAL_MAE: "last MAE"}.get(
            self.objective.metric, self.objective.metric
        )

    @property
    def phrase(self) -> str:
        """The objective within a sentence, such as `validation MAE`."""
        return {
            names.BEST_VAL_MAE: "validation MAE",
            names.LAST_VAL_MAE: "validation MAE of the last epoch",
        }.get(self.objective.metric, self.objective.metric)

    @property
    def unit(self) -> str:
        """Unit of the objective: the target's, `s`, or an empty text."""
        name = self.objective.metric
        if name.endswith(_IN_UNITS_OF_THE_TARGET):
            return self.target.unit
        return "s" if name.startswith("time/") and name.endswith("seconds") else ""


_IN_UNITS_OF_THE_TARGET = ("mae", "rmse", "median_error", "bias", "gap")
