"""keras-tuner's oracles, driven without its Tuner: they propose, and are told what came of it.

What keras-tuner 1.4.8 needs for that is mended here, and only here: nothing is written to disk
(a study is restored by asking and telling again), seed 0 is a seed, a suggestion depends on
nothing but the seed and what was told, and each oracle hands out as many trials as it can.
"""

import itertools
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras_tuner as kt
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from sklearn.exceptions import ConvergenceWarning

from src.search.space import Choices, Hyperparameter, Space

_DRAWS_A_TRIAL = 10_000  # seeds set aside for each suggestion; 20 collisions need a few hundred


@dataclass(frozen=True)
class Suggestion:
    """What an oracle wants to know next.

    Attributes:
        index: Its place in the sequence of suggestions, from 0.
        values: Text of an override by key; keys whose condition does not hold are left out.
        epochs: Fidelity: epochs that the trial may spend in all; None for all of them.
        promoted_from: Index of the suggestion whose trial goes on, or None.
        bracket: Hyperband's s, or None.
        rung: Hyperband's i, or None.
    """

    index: int
    values: Mapping[str, str]
    epochs: int | None = None
    promoted_from: int | None = None
    bracket: int | None = None
    rung: int | None = None


class _DrivenOracle(kt.Oracle):
    """What all oracles here share."""

    trials: dict[str, Trial]
    ongoing_trials: dict[str, Trial]
    _tried_so_far: set[str]

    def __init__(self, *, seed: int, **settings: Any) -> None:
        super().__init__(
            objective=kt.Objective("val_mae", "min"),
            seed=seed + 1,  # keras-tuner takes 0 for no seed
            max_consecutive_failed_trials=math.inf,  # the study counts failures itself
            **settings,
        )
        self.verbose = 0

    def save(self) -> None:
        """Nothing: a study is restored from the tracking store."""

    def _save_trial(self, trial: Trial) -> None:
        """Nothing, as `save`."""

    def create_trial(self, tuner_id: str) -> Trial:
        """As keras-tuner's, from random numbers that depend on the suggestion's index alone."""
        self._seed_state = self.seed + _DRAWS_A_TRIAL * len(self.trials)
        return super().create_trial(tuner_id)


class GridOracle(_DrivenOracle, kt.oracles.GridSearchOracle):
    """Every combination; keras-tuner's own waits for the end of each trial."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next combination, which can be followed by the one after it at once."""
        response: dict[str, Any] = super().populate_space(trial_id)
        if response["status"] == TrialStatus.RUNNING:
            self._populate_next.append(trial_id)
        return response


class _ReplicatingOracle(_DrivenOracle):
    """Random draws; where a small space has nothing new left, one comes again, as a replicate."""

    def _random_values(self) -> dict[str, Any]:
        values = super()._random_values()
        if values is None:
            tried, self._tried_so_far = self._tried_so_far, set()
            values = super()._random_values()
            self._tried_so_far = tried
        return values


class RandomOracle(_ReplicatingOracle, kt.oracles.RandomSearchOracle):
    """Independent draws."""


class BayesianOracle(_ReplicatingOracle, kt.oracles.BayesianOptimizationOracle):
    """A Gaussian process and its upper confidence bound.

    Attributes:
        recorded: Values by index that a former launch was given: taken instead of computed,
            which takes seconds a suggestion.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.recorded: dict[int, dict[str, Any]] = {}

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """A draw at first; then the point of the lowest confidence bound."""
        if int(trial_id) in self.recorded:
            return {"status": TrialStatus.RUNNING, "values": self.recorded[int(trial_id)]}
        # keras-tuner carries both from one suggestion to the next, so that a restored study
        # would go another way; and it guesses results of running trials by the last fit.
        self._random_state = np.random.RandomState([self.seed, len(self.trials)])
        self.gpr = self._make_gpr()
        with warnings.catch_warnings():  # a few points leave the length scale open
            warnings.simplefilter("ignore", ConvergenceWarning)
            if self.ongoing_trials:
                running, self.ongoing_trials = self.ongoing_trials, {}
                x, y = self._vectorize_complete()
                self.ongoing_trials = running
                if len(y):
                    self.gpr.fit(x, y)
            response: dict[str, Any] = super().populate_space(trial_id)
        return response

    def _vectorize_complete(self) -> tuple[np.ndarray, np.ndarray]:
        everything = self.trials
        self.trials = {i: t for i, t in everything.items() if t.status == TrialStatus.COMPLETED}
        x, y = self._vectorize_trials()
        self.trials = everything
        return x, y


class HyperbandOracle(_ReplicatingOracle, kt.oracles.HyperbandOracle):
    """Brackets of successive halving (Li et al. 2018, JMLR 18-185).

    keras-tuner promotes only while more trials of a rung are done than will be dropped, and does
    not count failed ones as done: each takes a place in every rung above. Here a failed trial is
    the worst of its rung.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """A promotion, or a new draw for a rung that has room."""
        failed = [trial for trial in self.trials.values() if trial.status == TrialStatus.FAILED]
        for trial in failed:
            trial.status, trial.score = TrialStatus.COMPLETED, math.inf
        try:
            response: dict[str, Any] = super().populate_space(trial_id)
        finally:
            for trial in failed:
                trial.status, trial.score = TrialStatus.FAILED, None
        if response["status"] == TrialStatus.RUNNING:
            # keras-tuner writes the newest bracket, also for promotions in an older one.
            response["values"]["tuner/bracket"] = self._bracket_of(trial_id)
        return response

    def waiting_for_promotion(self) -> set[int]:
        """Indices of the suggestions whose trials may still go on."""
        waiting: set[int] = set()
        for bracket in self._brackets:
            rungs = bracket["rounds"]
            for rung, (here, above) in enumerate(itertools.pairwise(rungs)):
                if len(above) < self._get_size(bracket["bracket_num"], rung + 1):
                    promoted = {entry["past_id"] for entry in above}
                    waiting |= {int(e["id"]) for e in here if e["id"] not in promoted}
        return waiting

    def _bracket_of(self, trial_id: str) -> int:
        return next(
            int(bracket["bracket_num"])
            for bracket in self._brackets
            for rung in bracket["rounds"]
            if any(entry["id"] == trial_id for entry in rung)
        )


class Search:
    """One oracle over one space, in the words of overrides.

    Attributes:
        is_adaptive: Whether suggestions depend on what was told.
        shortfall: Promotions for which failed trials left no candidate.
    """

    def __init__(self, oracle: _DrivenOracle, space: Space) -> None:
        self._oracle = oracle
        self._space = {hyperparameter.key: hyperparameter for hyperparameter in space}
        self.is_adaptive = isinstance(oracle, BayesianOracle | HyperbandOracle)
        self.shortfall = 0

    def ask(self) -> Suggestion | None:
        """The next suggestion; None where there is none, or none before more is told."""
        while True:
            trial = self._oracle.create_trial(str(len(self._oracle.trials)))
            if trial.status != TrialStatus.RUNNING:
                return None
            suggestion = self._read(trial)
            if not self._lacks_candidate(suggestion):
                return suggestion
            self.shortfall += 1
            self.tell(suggestion.index, None)

    def tell(self, index: int, val_mae: float | None) -> None:
        """What a suggestion came to: an error in years, or None for a failed trial."""
        trial = self._trial(index)
        if val_mae is None or not math.isfinite(val_mae):
            trial.status = TrialStatus.FAILED
        else:
            self._oracle.update_trial(trial.trial_id, {"val_mae": val_mae})
            trial.status = TrialStatus.COMPLETED
        self._oracle.end_trial(trial)

    def remember(self, index: int, values: Mapping[str, str]) -> None:
        """A suggestion of a former launch, so that it need not be computed again."""
        if isinstance(self._oracle, BayesianOracle):
            self._oracle.recorded[index] = {
                key: _parse(self._space[key], text) for key, text in values.items()
            }

    def waiting_for_promotion(self) -> set[int]:
        """Indices of the suggestions whose trials may still go on."""
        if isinstance(self._oracle, HyperbandOracle):
            return self._oracle.waiting_for_promotion()
        return set()

    def _read(self, trial: Trial) -> Suggestion:
        values = trial.hyperparameters.values
        texts: dict[str, str] = {}
        for key, hyperparameter in self._space.items():
            if key in values:
                texts[key] = _spell(hyperparameter, values[key])
                # The oracle goes on from what is typed, not from what was rounded.
                values[key] = _parse(hyperparameter, texts[key])
        past = values.get("tuner/trial_id")
        return Suggestion(
            index=int(trial.trial_id),
            values=texts,
            epochs=values.get("tuner/epochs"),
            promoted_from=None if past is None else int(past),
            bracket=values.get("tuner/bracket"),
            rung=values.get("tuner/round"),
        )

    def _trial(self, index: int) -> Trial:
        return self._oracle.trials[self._oracle.start_order[index]]

    def _lacks_candidate(self, suggestion: Suggestion) -> bool:
        past = suggestion.promoted_from
        return past is not None and self._trial(past).status == TrialStatus.FAILED


def grid(space: Space, seed: int, max_trials: int | None = None) -> Search:
    """Every combination, or the first so many; the last key varies fastest."""
    hyperparameters = _to_keras_tuner(space)
    oracle = GridOracle(seed=seed, max_trials=max_trials, hyperparameters=hyperparameters)
    return Search(oracle, space)


def random(space: Space, seed: int, max_trials: int) -> Search:
    """Independent draws."""
    hyperparameters = _to_keras_tuner(space)
    oracle = RandomOracle(seed=seed, max_trials=max_trials, hyperparameters=hyperparameters)
    return Search(oracle, space)


def bayesian(
    space: Space,
    seed: int,
    max_trials: int,
    num_initial_points: int | None,
    noise: float,
    exploration: float,
) -> Search:
    """Gaussian process; see keras-tuner's `BayesianOptimizationOracle`.

    Args:
        space: Where to search.
        seed: Of the first draws and of the fits.
        max_trials: In all.
        num_initial_points: Draws before the first fit; None for three a dimension.
        noise: Variance of the objective, in units of its own variance; keras-tuner's `alpha`.
        exploration: Standard deviations below the mean at which a point is valued; its `beta`.
    """
    oracle = BayesianOracle(
        seed=seed, max_trials=max_trials, num_initial_points=num_initial_points,
        alpha=noise, beta=exploration, hyperparameters=_to_keras_tuner(space),
    )  # fmt: skip
    return Search(oracle, space)


def hyperband(
    space: Space, seed: int, max_epochs: int, reduction_factor: int, iterations: int
) -> Search:
    """Brackets of successive halving, from rungs of few epochs to `max_epochs`."""
    oracle = HyperbandOracle(
        seed=seed, max_epochs=max_epochs, factor=reduction_factor,
        hyperband_iterations=iterations, hyperparameters=_to_keras_tuner(space),
    )  # fmt: skip
    return Search(oracle, space)


def _to_keras_tuner(space: Space) -> kt.HyperParameters:
    hyperparameters = kt.HyperParameters()
    for hyperparameter in space:
        condition = hyperparameter.condition
        if condition is None:
            _add(hyperparameters, hyperparameter)
            continue
        parent = next(h for h in space if h.key == condition.key)
        values = [_parse(parent, text) for text in condition.texts]
        with hyperparameters.conditional_scope(condition.key, values):
            _add(hyperparameters, hyperparameter)
    return hyperparameters


def _add(hyperparameters: kt.HyperParameters, hyperparameter: Hyperparameter) -> None:
    key, domain = hyperparameter.key, hyperparameter.domain
    if isinstance(domain, Choices):
        numbers = domain.numbers
        values = list(domain.texts if numbers is None else numbers)
        hyperparameters.Choice(key, values, ordered=numbers is not None)
        return
    add: Callable[..., Any] = hyperparameters.Int if domain.is_integer else hyperparameters.Float
    sampling = "log" if domain.is_log else "linear"
    ends = (int(domain.low), int(domain.high)) if domain.is_integer else (domain.low, domain.high)
    add(key, *ends, sampling=sampling)


def _spell(hyperparameter: Hyperparameter, value: Any) -> str:
    domain = hyperparameter.domain
    if isinstance(domain, Choices):
        values: tuple[Any, ...] = domain.texts if domain.numbers is None else domain.numbers
        return domain.texts[values.index(value)]
    return domain.spell(value)


def _parse(hyperparameter: Hyperparameter, text: str) -> Any:
    domain = hyperparameter.domain
    if isinstance(domain, Choices):
        if domain.numbers is None:
            return text
        return domain.numbers[domain.texts.index(text)]
    return int(text) if domain.is_integer else float(text)
