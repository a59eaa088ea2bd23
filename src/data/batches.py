"""Shuffled, augmented training batches."""

import numpy as np

from src.config.schema import AugmentationConfig
from src.data.augmentation import augmented, draw
from src.data.dataset import Part

# Random streams; NumPy ignores trailing zeros of a seed.
_ORDER, _AUGMENTATION, _CHOICE, _VIEW = 1, 2, 3, 4


class TrainingBatches:
    """Shuffled, augmented batches, each available by its epoch and number.

    Order and augmentation depend on (seed, epoch, batch) only, so a resumed trial gets the same
    batches. With `augmentation.cached_views` they choose one of the views of each face; the views
    themselves are the same in all trials.
    """

    def __init__(
        self, part: Part, batch_size: int, augmentation: AugmentationConfig, seed: int
    ) -> None:
        self._part = part
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._seed = seed

    def __len__(self) -> int:
        """Returns the number of batches of an epoch; the last one may be smaller."""
        return -(-len(self._part) // self._batch_size)

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns pictures, uint8 `(b, size, size, 3)`, and labels, float32 `(b, 1)`.

        Args:
            epoch: From 0.
            number: Batch within the epoch, from 0.
        """
        indices, views = self.chosen(epoch, number)
        if self._augmentation.cached_views is None:
            rng = np.random.default_rng([_AUGMENTATION, self._seed, epoch, number])
            draws = draw(rng, len(indices))
        else:
            draws = _view_draws(indices, views)
        images = _changed(self._part, indices, self._augmentation, draws)
        return images, self._part.labels[indices, None]

    def chosen(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the indices of the batch's faces in the part, and the number of each one's view.

        Both have shape `(b,)`. Views count from 0; all are 0 without cached views or without
        augmentation.

        Args:
            epoch: From 0.
            number: Batch within the epoch, from 0.
        """
        order = np.random.default_rng([_ORDER, self._seed, epoch]).permutation(len(self._part))
        indices = order[number * self._batch_size : (number + 1) * self._batch_size]
        num_views = self._augmentation.cached_views
        if num_views is None or not self._augmentation.changes_pictures:
            return indices, np.zeros_like(indices)
        rng = np.random.default_rng([_CHOICE, self._seed, epoch, number])
        return indices, rng.integers(num_views, size=len(indices))


def view_images(
    part: Part, indices: np.ndarray, augmentation: AugmentationConfig, view: int
) -> np.ndarray:
    """Returns one view of each of these faces, uint8 `(k, size, size, 3)`.

    It depends on the number of the view and the index in the part only, not on a trial's seed, so
    that all trials share it.

    Args:
        part: The faces.
        indices: Which of them, shape `(k,)`.
        augmentation: Which changes, and how far.
        view: From 0.
    """
    return _changed(part, indices, augmentation, _view_draws(indices, np.full_like(indices, view)))


def _view_draws(indices: np.ndarray, views: np.ndarray) -> np.ndarray:
    draws = [
        draw(np.random.default_rng([_VIEW, view, index]), 1)[0]
        for view, index in zip(views, indices, strict=True)
    ]
    return np.reshape(draws, (len(indices), 8))


def _changed(
    part: Part, indices: np.ndarray, augmentation: AugmentationConfig, draws: np.ndarray
) -> np.ndarray:
    rows = part.faces["image_index"].to_numpy()[indices]
    return augmented(part.pixels, rows, augmentation, draws)
