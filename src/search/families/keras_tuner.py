"""Searches by the oracles of keras-tuner."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from src.core.imports import large_imports
from src.search.search import Search, Suggestion
from src.search.settings import SweepSettings
from src.search.space import Space

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial


class _OracleSearch(Search):
    """A search that asks an oracle, and translates between its values and overrides.

    Attributes:
        oracle: Name of its class in `src/search/oracles.py`.
        arguments: The oracle's arguments besides seed and space; each is the setting of this name.
    """

    oracle: ClassVar[str]
    arguments: ClassVar[Mapping[str, str]]

    def __init__(self, settings: SweepSettings, space: Space, max_epochs: int) -> None:
        """Starts the oracle."""
        with large_imports():  # keras-tuner imports TensorFlow
            from src.search import oracles

        self._domains = {hyperparameter.key: hyperparameter.domain for hyperparameter in space}
        arguments = {name: getattr(settings, its) for name, its in self.arguments.items()}
        if self.takes_epochs:
            arguments["max_epochs"] = max_epochs
        self._oracle: Any = getattr(oracles, self.oracle)(
            seed=settings.seed, hyperparameters=oracles.to_keras_tuner(space), **arguments
        )

    def ask(self) -> Suggestion | None:
        """Returns the oracle's next suggestion."""
        while True:
            trial = self._oracle.create_trial(str(len(self._oracle.trials)))
            if trial.status != "RUNNING":
                return None
            suggestion = self._read(trial)
            past = suggestion.promoted_from
            if past is None or self._trial(past).status != "FAILED":
                return suggestion
            self.shortfall += 1
            self.tell(suggestion.index, None)

    def tell(self, index: int, cost: float | None) -> None:
        """Reports a result to the oracle."""
        trial = self._trial(index)
        if cost is None or not math.isfinite(cost):
            trial.status = "FAILED"
        else:
            self._oracle.update_trial(trial.trial_id, {"cost": cost})
            trial.status = "COMPLETED"
        self._oracle.end_trial(trial)

    def _read(self, trial: "Trial") -> Suggestion:
        values = trial.hyperparameters.values
        texts: dict[str, str] = {}
        for key, domain in self._domains.items():
            if key in values:
                texts[key] = domain.spell(values[key])
                # The oracle continues from the value that is evaluated, not from the unrounded one.
                values[key] = domain.parse(texts[key])
        past = values.get("tuner/trial_id")
        return Suggestion(
            index=int(trial.trial_id),
            values=texts,
            epochs=values.get("tuner/epochs"),
            promoted_from=None if past is None else int(past),
            bracket=values.get("tuner/bracket"),
            rung=values.get("tuner/round"),
        )

    def _trial(self, index: int) -> "Trial":
        return self._oracle.trials[self._oracle.start_order[index]]


class RandomSearch(_OracleSearch):
    """Independent draws."""

    name = "random"
    oracle = "RandomOracle"
    arguments: ClassVar = {"max_trials": "max_trials"}
    needs_max_trials = True


class BayesianSearch(_OracleSearch):
    """A Gaussian process; see keras-tuner's `BayesianOptimizationOracle`."""

    name = "bayesian"
    oracle = "BayesianOracle"
    arguments: ClassVar = {
        "max_trials": "max_trials",
        "num_initial_points": "num_initial_points",
        "alpha": "noise",
        "beta": "exploration",
    }
    is_adaptive = True
    is_sequential = True
    needs_max_trials = True

    def remember(self, index: int, values: Mapping[str, str]) -> None:
        """Spares the oracle a fit, which takes seconds."""
        self._oracle.recorded[index] = {
            key: self._domains[key].parse(text) for key, text in values.items()
        }


class HyperbandSearch(_OracleSearch):
    """Brackets of successive halving, from rungs of few epochs to `max_epochs`."""

    name = "hyperband"
    oracle = "HyperbandOracle"
    arguments: ClassVar = {"factor": "reduction_factor", "hyperband_iterations": "iterations"}
    is_adaptive = True
    takes_epochs = True

    def waiting_for_promotion(self) -> set[int]:
        """Returns the suggestions of rungs above which there is still room."""
        return self._oracle.waiting_for_promotion()
