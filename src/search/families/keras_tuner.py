"""Searches by the oracles of keras-tuner."""

import math
from abc import abstractmethod
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
    """

    oracle: ClassVar[str]

    def __init__(self, settings: SweepSettings, space: Space, max_epochs: int) -> None:
        """Starts the oracle."""
        with large_imports():  # keras-tuner imports TensorFlow
            from src.search import oracles

        self._space = {hyperparameter.key: hyperparameter for hyperparameter in space}
        self._oracle: Any = getattr(oracles, self.oracle)(
            seed=settings.seed,
            hyperparameters=oracles.to_keras_tuner(space),
            **self._arguments(settings, max_epochs),
        )

    @staticmethod
    @abstractmethod
    def _arguments(settings: SweepSettings, max_epochs: int) -> dict[str, Any]:
        """Returns the oracle's arguments besides seed and space."""

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
        for key, hyperparameter in self._space.items():
            if key in values:
                texts[key] = hyperparameter.domain.spell(values[key])
                # The oracle continues from the value that is evaluated, not from the unrounded one.
                values[key] = hyperparameter.domain.parse(texts[key])
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
        trial: Trial = self._oracle.trials[self._oracle.start_order[index]]
        return trial


class RandomSearch(_OracleSearch):
    """Independent draws."""

    name = "random"
    oracle = "RandomOracle"
    needs_max_trials = True

    @staticmethod
    def _arguments(settings: SweepSettings, max_epochs: int) -> dict[str, Any]:
        return {"max_trials": settings.max_trials}


class BayesianSearch(_OracleSearch):
    """A Gaussian process; see keras-tuner's `BayesianOptimizationOracle`."""

    name = "bayesian"
    oracle = "BayesianOracle"
    is_adaptive = True
    is_sequential = True
    needs_max_trials = True

    @staticmethod
    def _arguments(settings: SweepSettings, max_epochs: int) -> dict[str, Any]:
        return {
            "max_trials": settings.max_trials,
            "num_initial_points": settings.num_initial_points,
            "alpha": settings.noise,
            "beta": settings.exploration,
        }

    def remember(self, index: int, values: Mapping[str, str]) -> None:
        """Spares the oracle a fit, which takes seconds."""
        self._oracle.recorded[index] = {
            key: self._space[key].domain.parse(text) for key, text in values.items()
        }


class HyperbandSearch(_OracleSearch):
    """Brackets of successive halving, from rungs of few epochs to `max_epochs`."""

    name = "hyperband"
    oracle = "HyperbandOracle"
    is_adaptive = True
    takes_epochs = True

    @staticmethod
    def _arguments(settings: SweepSettings, max_epochs: int) -> dict[str, Any]:
        return {
            "max_epochs": max_epochs,
            "factor": settings.reduction_factor,
            "hyperband_iterations": settings.iterations,
        }

    def waiting_for_promotion(self) -> set[int]:
        """Returns the suggestions of rungs above which there is still room."""
        waiting: set[int] = self._oracle.waiting_for_promotion()
        return waiting
