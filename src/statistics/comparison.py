"""Comparison of many configurations that are measured on the same faces."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

_NUM_DRAWS = 2000
_SEED = 0  # fixed, so that the same study gives the same report


class Contenders:
    """Configurations to be compared, each with the mean of its replicates.

    Attributes:
        errors: Absolute error of each configuration on each face, mean over its replicates, shape
            `(k, n)`.
        means: MAE of each configuration, shape `(k,)`.
        num_replicates: Number of replicates of each configuration, shape `(k,)`.
        replicate_variance: Variance of a single training's MAE around its configuration's, pooled;
            0 without replicates.
        face_variance: Part of it that comes from the sampling of faces.
        degrees_of_freedom: Of `replicate_variance`; 0 without replicates.
    """

    def __init__(self, errors: np.ndarray, groups: Sequence[int]) -> None:
        """Averages the replicates.

        Args:
            errors: Absolute errors of single trials, shape `(num_trials, n)`.
            groups: Index of each trial's configuration, 0 … k − 1, all of them present.
        """
        indicator = np.equal.outer(np.arange(max(groups) + 1), np.asarray(groups)).astype(float)
        self.num_replicates = indicator.sum(axis=1)
        self.errors = indicator @ errors / self.num_replicates[:, None]
        self.means = self.errors.mean(axis=1)
        self.replicate_variance = self.face_variance = 0.0
        self.degrees_of_freedom = len(groups) - len(self.means)
        if self.degrees_of_freedom:
            around = errors - self.errors[list(groups)]
            by_trial = around.mean(axis=1)
            num_faces = errors.shape[1]
            self.replicate_variance = float(by_trial @ by_trial) / self.degrees_of_freedom
            squares = float(np.sum((around - by_trial[:, None]) ** 2))
            noise = squares / (self.degrees_of_freedom * max(num_faces - 1, 1))
            self.face_variance = noise / num_faces

    def intervals(self) -> np.ndarray:
        """Returns the 95 % interval of each MAE over other faces and trainings, shape `(k, 2)`.

        Percentiles of a bootstrap over faces (Efron 1979), to which draws of the variance between
        replicates are added if there are any.
        """
        ends = np.quantile(self._draws, [(1 - 0.95) / 2, (1 + 0.95) / 2], axis=0).T
        return np.maximum(self.means[:, None] + ends, 0.0)

    def could_be_best(self) -> np.ndarray:
        """Returns which configurations are not significantly worse than the best, shape `(k,)`.

        All are resampled together, face by face, so that the difficulty of a face, common to all
        of them, cancels. The threshold is the largest difference between any two of the remaining
        configurations by chance. Those further behind the best are removed, until none is (a model
        confidence set with the range as its statistic: Hansen, Lunde and Nason 2011,
        Econometrica 79). If all are equal, none is removed in 95 % of studies.
        """
        behind = self.means - self.means.min()
        left = np.ones(len(behind), bool)
        if self.errors.shape[1] < 2:  # one face has no variance between faces
            return left
        while True:
            draws = self._draws[:, left]
            threshold = np.quantile(draws.max(axis=1) - draws.min(axis=1), 0.95)
            still = left & (behind <= threshold)
            if (still == left).all():
                return left
            left = still

    def optimism(self) -> float:
        """Returns the selection bias of the winner's MAE, >= 0.

        The winner of each draw has a drawn MAE below its MAE on all faces; the bias is the mean
        difference (bootstrap estimate of optimism, after Efron 1983).
        """
        winners = np.argmin(self.means + self._draws, axis=1)
        return max(0.0, -float(self._draws[np.arange(len(winners)), winners].mean()))

    @cached_property
    def _draws(self) -> np.ndarray:
        """Deviations of the MAEs by chance, shape `(_NUM_DRAWS, k)`."""
        rng = np.random.default_rng(_SEED)
        count = self.errors.shape[1]
        weights = rng.multinomial(count, np.full(count, 1 / count), _NUM_DRAWS)
        centred = self.errors - self.means[:, None]
        draws = weights.astype(np.float32) @ centred.T.astype(np.float32) / count
        if self.degrees_of_freedom:
            # Draws of the true variance, minus the part that resampled faces contribute.
            shrink = rng.chisquare(self.degrees_of_freedom, (_NUM_DRAWS, 1))
            spread = self.replicate_variance * self.degrees_of_freedom / shrink
            variance = np.maximum(spread - self.face_variance, 0) / self.num_replicates
            draws += rng.standard_normal(draws.shape) * np.sqrt(variance)
        return np.asarray(draws, np.float64)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Returns p-values adjusted for the number of tests (Holm 1979)."""
    values = np.asarray(p_values, float)
    order = np.argsort(values)
    factors = len(values) - np.arange(len(values))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1.0)
    return adjusted
