"""Faces in the order and form in which a model eats them."""

import numpy as np

from src.config.schema import AugmentationConfig
from src.data.augmentation import augmented, draw
from src.data.dataset import Part

# Streams of their own: a seed's trailing zeros count for nothing.
_ORDER, _AUGMENTATION, _CHOICE, _VIEW = 1, 2, 3, 4


class TrainingBatches:
    """Shuffled, augmented batches; any batch of any epoch can be had by its number.

    Order and augmentation follow from (seed, epoch, batch) alone, so a trial that goes on after
    an interruption sees exactly what it would have seen. With `augmentation.cached_views`, what
    follows from them is which of its views each face shows; the views themselves are the same
    for all trials.
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
        places, views = self.chosen(epoch, number)
        if self._augmentation.cached_views is None:
            rng = np.random.default_rng([_AUGMENTATION, self._seed, epoch, number])
            draws = draw(rng, len(places))
        else:
            draws = _view_draws(places, views)
        images = _changed(self._part, places, self._augmentation, draws)
        return images, self._part.ages[places, None]

    def chosen(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The batch's faces: their places in the part, and the number of each one's view.

        Both have shape `(b,)`. Views count from 0; all are 0 where none are cached or nothing
        changes the pictures.

        Args:
            epoch: From 0.
            number: Batch within the epoch, from 0.
        """
        order = np.random.default_rng([_ORDER, self._seed, epoch]).permutation(len(self._part))
        places = order[number * self._batch_size : (number + 1) * self._batch_size]
        num_views = self._augmentation.cached_views
        if num_views is None or not self._augmentation.changes_pictures:
            return places, np.zeros_like(places)
        rng = np.random.default_rng([_CHOICE, self._seed, epoch, number])
        return places, rng.integers(num_views, size=len(places))


def view_images(
    part: Part, places: np.ndarray, augmentation: AugmentationConfig, view: int
) -> np.ndarray:
    """One view of each of these faces, uint8 `(k, size, size, 3)`.

    It follows from the number of the view and the place in the part alone, not from a trial's
    seed, so that all trials share it.

    Args:
        part: The faces.
        places: Which of them, shape `(k,)`.
        augmentation: Which changes, and how far.
        view: From 0.
    """
    return _changed(part, places, augmentation, _view_draws(places, np.full_like(places, view)))


def _view_draws(places: np.ndarray, views: np.ndarray) -> np.ndarray:
    draws = [
        draw(np.random.default_rng([_VIEW, view, place]), 1)[0]
        for view, place in zip(views, places, strict=True)
    ]
    return np.reshape(draws, (len(places), 8))


def _changed(
    part: Part, places: np.ndarray, augmentation: AugmentationConfig, draws: np.ndarray
) -> np.ndarray:
    indices = part.faces["image_index"].to_numpy()[places]
    return augmented(part.pixels, indices, augmentation, draws)
