"""Faces in the order and form in which a model eats them."""

import numpy as np

from src.config.schema import AugmentationConfig
from src.data.augmentation import augment
from src.data.dataset import Part

_ORDER, _AUGMENTATION = 1, 2  # streams of their own: a seed's trailing zeros count for nothing


class TrainingBatches:
    """Shuffled, augmented batches; any batch of any epoch can be had by its number.

    Order and augmentation follow from (seed, epoch, batch) alone, so a trial that goes on after
    an interruption sees exactly what it would have seen.
    """

    def __init__(
        self, part: Part, batch_size: int, augmentation: AugmentationConfig, seed: int
    ) -> None:
        self._part = part
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._seed = seed

    def __len__(self) -> int:
        """Batches an epoch; the last one may be smaller."""
        return -(-len(self._part) // self._batch_size)

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Pictures, uint8 `(b, size, size, 3)`, and ages, float32 `(b, 1)` in years.

        Args:
            epoch: From 0.
            number: Batch within the epoch, from 0.
        """
        order = np.random.default_rng([_ORDER, self._seed, epoch]).permutation(len(self._part))
        chosen = order[number * self._batch_size : (number + 1) * self._batch_size]
        rng = np.random.default_rng([_AUGMENTATION, self._seed, epoch, number])
        images = augment(self._part.images(chosen), self._augmentation, rng)
        return images, self._part.ages[chosen, None]
