"""keras-tuner's oracles, used without its Tuner.

All corrections of keras-tuner 1.4.8 are here: nothing is written to disk (a study is restored by
repeating the calls), seed 0 is a seed, a suggestion depends on the seed and on the results alone,
and an oracle suggests as many trials at a time as it can.
"""

import contextlib
import itertools
import math
import warnings
from typing import Any

import keras_tuner as kt
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from sklearn.exceptions import ConvergenceWarning

from src.search.space import Choices, Space

_DRAWS_A_TRIAL = 10_000  # seeds set aside for each suggestion; 20 collisions need a few hundred


class DrivenOracle(kt.Oracle):
    """Base of all oracles here."""

    trials: dict[str, Trial]
    _tried_so_far: set[str]

    def __init__(self, *, seed: int, **settings: Any) -> None:
        super().__init__(
            objective=kt.Objective("cost", "min"),
            seed=seed + 1,  # keras-tuner takes 0 for no seed
            max_consecutive_failed_trials=math.inf,  # the study counts failures itself
            **settings,
        )
        self.verbose = 0

    def save(self) -> None:
        """Does nothing: a study is restored from the tracking store."""

    def _save_trial(self, trial: Trial) -> None:
        """Does nothing, as `save`."""

    def create_trial(self, tuner_id: str) -> Trial:
        """Returns the next trial; its random numbers depend on its index alone."""
        self._seed_state = self.seed + _DRAWS_A_TRIAL * len(self.trials)
        return super().create_trial(tuner_id)

    def _random_values(self) -> dict[str, Any]:
        """Returns a draw; once a small space is exhausted, one that is repeated as a replicate."""
        values = super()._random_values()
        if values is None:
            tried, self._tried_so_far = self._tried_so_far, set()
            values = super()._random_values()
            self._tried_so_far = tried
        return values


class RandomOracle(DrivenOracle, kt.oracles.RandomSearchOracle):
    """Independent draws."""


class BayesianOracle(DrivenOracle, kt.oracles.BayesianOptimizationOracle):
    """A Gaussian process and its upper confidence bound.

    Attributes:
        recorded: Values by index of former launches. They are not computed again, which would
            take seconds for each.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.recorded: dict[int, dict[str, Any]] = {}

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns a random draw at first, then the point with the lowest confidence bound."""
        if int(trial_id) in self.recorded:
            return {"status": TrialStatus.RUNNING, "values": self.recorded[int(trial_id)]}
        # keras-tuner keeps both from one suggestion to the next, so that a restored study would
        # continue differently; and it estimates results of running trials by the last fit.
        self._random_state = np.random.RandomState([self.seed, len(self.trials)])
        self.gpr = self._make_gpr()
        with warnings.catch_warnings():  # few points do not determine the length scale
            warnings.simplefilter("ignore", ConvergenceWarning)
            if self.ongoing_trials:
                trials = self.trials
                self.trials = {i: t for i, t in trials.items() if t.status == TrialStatus.COMPLETED}
                x, y = self._vectorize_trials()
                self.trials = trials
                if len(y):
                    self.gpr.fit(x, y)
            return super().populate_space(trial_id)


class HyperbandOracle(DrivenOracle, kt.oracles.HyperbandOracle):
    """Brackets of successive halving (Li et al. 2018, JMLR 18-185).

    keras-tuner does not count a failed trial as finished, so that each costs a promotion in every
    rung above. Here a failed trial is the worst of its rung.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns a promotion, or a new draw for a rung that has room."""
        failed = [trial for trial in self.trials.values() if trial.status == TrialStatus.FAILED]
        for trial in failed:
            trial.status, trial.score = TrialStatus.COMPLETED, math.inf
        try:
            response: dict[str, Any] = super().populate_space(trial_id)
        finally:
            for trial in failed:
                trial.status, trial.score = TrialStatus.FAILED, None
        values = response.get("values") or {}
        if "tuner/trial_id" in values:  # keras-tuner writes the newest bracket for a promotion
            past = self.trials[values["tuner/trial_id"]]
            values["tuner/bracket"] = past.hyperparameters.values["tuner/bracket"]
        return response

    def waiting_for_promotion(self) -> set[int]:
        """Returns the indices of suggestions that may still be promoted."""
        waiting: set[int] = set()
        for bracket in self._brackets:
            rungs = bracket["rounds"]
            for rung, (here, above) in enumerate(itertools.pairwise(rungs)):
                if len(above) < self._get_size(bracket["bracket_num"], rung + 1):
                    promoted = {entry["past_id"] for entry in above}
                    waiting |= {int(e["id"]) for e in here if e["id"] not in promoted}
        return waiting


def to_keras_tuner(space: Space) -> kt.HyperParameters:
    """Returns the space in keras-tuner's terms."""
    hyperparameters = kt.HyperParameters()
    domains = {hyperparameter.key: hyperparameter.domain for hyperparameter in space}
    for hyperparameter in space:
        key, domain, condition = hyperparameter.key, hyperparameter.domain, hyperparameter.condition
        scope = contextlib.nullcontext()
        if condition is not None:
            values = [domains[condition.key].parse(text) for text in condition.texts]
            scope = hyperparameters.conditional_scope(condition.key, values)
        with scope:
            if isinstance(domain, Choices):
                values = [domain.parse(text) for text in domain.texts]
                hyperparameters.Choice(key, values, ordered=domain.numbers is not None)
                continue
            sampling = "log" if domain.is_log else "linear"
            if domain.is_integer:
                hyperparameters.Int(key, int(domain.low), int(domain.high), sampling=sampling)
            else:
                hyperparameters.Float(key, domain.low, domain.high, sampling=sampling)
    return hyperparameters
