"""Shuffled, augmented training batches."""

from dataclasses import dataclass

import numpy as np

from src.config.schema import AugmentationConfig
from src.data.augmentation import augmented, draw
from src.data.dataset import Part

# Random streams; NumPy ignores trailing zeros of a seed.
_ORDER, _AUGMENTATION, _CHOICE, _VIEW = 1, 2, 3, 4


@dataclass(frozen=True)
class TrainingBatches:
    """Shuffled, augmented batches, each available by its epoch and number.

    Order and augmentation depend on (seed, epoch, batch) only, so a resumed trial gets the same
    batches. With `augmentation.cached_views` they choose one of the views of each face; the views
    themselves are the same in all trials.

    Attributes:
        part: The training faces.
        batch_size: Number of faces of a batch.
        augmentation: Which changes, and how far.
        seed: The trial's.
    """

    part: Part
    batch_size: int
    augmentation: AugmentationConfig
    seed: int

    def __len__(self) -> int:
        """Returns the number of batches of an epoch; the last one may be smaller."""
        return -(-len(self.part) // self.batch_size)

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns pictures, uint8 `(b, size, size, 3)`, and labels, float32 `(b, 1)`.

        Args:
            epoch: From 0.
            number: Batch within the epoch, from 0.
        """
        indices, views = self.chosen(epoch, number)
        if self.augmentation.cached_views is None:
            rng = np.random.default_rng([_AUGMENTATION, self.seed, epoch, number])
            draws = draw(rng, len(indices))
        else:
            draws = _view_draws(indices, views)
        rows = self.part.image_indices[indices]
        images = augmented(self.part.pixels, rows, self.augmentation, draws)
        return images, self.part.labels[indices, None]

    def chosen(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the indices of the batch's faces in the part, and the number of each one's view.

        Both have shape `(b,)`. Views count from 0; all are 0 without cached views or without
        augmentation.

        Args:
            epoch: From 0.
            number: Batch within the epoch, from 0.
        """
        order = np.random.default_rng([_ORDER, self.seed, epoch]).permutation(len(self.part))
        indices = order[number * self.batch_size : (number + 1) * self.batch_size]
        num_views = self.augmentation.cached_views
        if num_views is None or not self.augmentation.changes_pictures:
            return indices, np.zeros_like(indices)
        rng = np.random.default_rng([_CHOICE, self.seed, epoch, number])
        return indices, rng.integers(num_views, size=len(indices))


def view_images(
    part: Part, indices: np.ndarray, augmentation: AugmentationConfig, view: int | None
) -> np.ndarray:
    """Returns one view of each of these faces, uint8 `(k, size, size, 3)`.

    It depends on the number of the view and the index in the part only, not on a trial's seed, so
    that all trials share it.

    Args:
        part: The faces.
        indices: Which of them, shape `(k,)`.
        augmentation: Which changes, and how far.
        view: From 0; None for the pictures as they are.
    """
    if view is None:
        return part.inputs(indices)
    draws = _view_draws(indices, np.full_like(indices, view))
    return augmented(part.pixels, part.image_indices[indices], augmentation, draws)


def _view_draws(indices: np.ndarray, views: np.ndarray) -> np.ndarray:
    draws = [
        draw(np.random.default_rng([_VIEW, view, index]), 1)[0]
        for view, index in zip(views, indices, strict=True)
    ]
    return np.reshape(draws, (len(indices), 8))
