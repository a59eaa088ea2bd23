"""Activations of frozen layers, computed once and shared by trials."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from src.config import Config, activation_values
from src.core.console import progress, stderr
from src.data import Dataset, Part, TrainingBatches, augmentation, cache
from src.data.batches import view_images
from src.data.shards import (
    NotFloat16Error,
    ShardedArray,
    num_bytes,
    num_missing_rows,
    open_or_build,
)
from src.model import fetch_weights
from src.training.measurement import Measured, measure, measured_training_faces, predict


@dataclass(frozen=True)
class ActivationPart(Part):
    """Faces with their activations; `faces` has a column `activation_row`."""

    activations: ShardedArray

    def inputs(self, indices: np.ndarray) -> np.ndarray:
        """Returns the activations of these faces, float16 `(k, …)`."""
        return self.activations[self.faces["activation_row"].to_numpy()[indices]]


class ActivationBatches:
    """`TrainingBatches` with activations instead of pictures: same faces, order and views."""

    def __init__(self, pictures: TrainingBatches, labels: np.ndarray, views: list[ShardedArray]):
        """Sets up.

        Args:
            pictures: The same batches as pictures.
            labels: Labels of the whole part, shape `(n,)`.
            views: Activations of the whole part, for each of its views.
        """
        self._pictures = pictures
        self._labels = labels
        self._views = views

    def __len__(self) -> int:
        return len(self._pictures)

    def in_order_of(self, pictures: TrainingBatches) -> "ActivationBatches":
        """Returns the activations in the order and batch size of other batches of the faces."""
        return ActivationBatches(pictures, self._labels, self._views)

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns activations, float16 `(b, …)`, and labels, float32 `(b, 1)`."""
        indices, views = self._pictures.chosen(epoch, number)
        activations = self._views[0][indices]
        for view, array in enumerate(self._views[1:], start=1):
            activations[views == view] = array[indices[views == view]]
        return activations, self._labels[indices, None]


@dataclass(frozen=True)
class Inputs:
    """Inputs of a trial's model.

    Attributes:
        batches: Training batches.
        train: Training faces to measure.
        val: Validation faces to measure.
    """

    batches: TrainingBatches | ActivationBatches
    train: Part
    val: Part

    @property
    def parts(self) -> dict[str, Part]:
        """The measured parts, by `train` and `val`."""
        return {"train": self.train, "val": self.val}

    def measure(self, regressor: keras.Model, batch_size: int) -> dict[str, Measured]:
        """Returns the parts as a model predicts them, by the same names."""
        return {name: measure(regressor, part, batch_size) for name, part in self.parts.items()}


@dataclass(frozen=True)
class ActivationInputs(Inputs):
    """Inputs from the activation cache."""

    batches: ActivationBatches
    train: ActivationPart
    val: ActivationPart


def picture_inputs(config: Config, dataset: Dataset) -> Inputs:
    """Returns pictures as inputs."""
    train = dataset.part("train")
    batches = TrainingBatches(train, config.data.batch_size, config.augmentation, config.seed)
    return Inputs(batches, measured_training_faces(config, train), dataset.part("val"))


def wants_activations(config: Config) -> bool:
    """Returns whether activations are configured and can be cached; a line says why they cannot."""
    if config.model.freeze == "none" or not config.fit.cache_activations:
        return False
    views = config.augmentation
    if views.changes_pictures and views.cached_views is None:
        stderr.print(
            "The activation cache is off: each step draws new augmentations, so the frozen layers "
            "run at each step. To use it: augmentation.cached_views=8, or "
            "augmentation=none"
        )
        return False
    return True


def activation_inputs(
    config: Config, dataset: Dataset, frozen: keras.Model
) -> ActivationInputs | None:
    """Returns activations, computing missing ones; None if they cannot be cached.

    Args:
        config: The trial's.
        dataset: The trial's faces.
        frozen: Model from pictures to activations.

    Raises:
        EnvironmentFaultError: If they cannot be written.
    """
    folder = Path(config.data.cache_dir) / "activations"
    train, val = dataset.part("train"), dataset.part("val")
    measured = measured_training_faces(config, train)
    if config.augmentation.changes_pictures:
        views: list[int | None] = list(range(config.augmentation.cached_views or 1))
        wanted = [*((train, view) for view in views), (val, None), (measured, None)]
    else:
        views, wanted = [None], [(train, None), (val, None)]
    weights = _weights_digest(config.model.weights or "")
    abouts = [_about(config, part, view, frozen, weights) for part, view in wanted]
    if not _has_room(folder, abouts, config.model.freeze):
        return None
    try:
        arrays = [
            _open(folder, about, part, view, config, frozen)
            for (part, view), about in zip(wanted, abouts, strict=True)
        ]
    except NotFloat16Error as error:
        stderr.print(f"The activation cache is off: an activation is no float16; {error}.")
        return None
    pictures = TrainingBatches(train, config.data.batch_size, config.augmentation, config.seed)
    batches = ActivationBatches(pictures, train.labels, arrays[: len(views)])
    if config.augmentation.changes_pictures:
        measured_activations = _with_rows(measured, arrays[-1])
    else:
        measured_activations = measured_training_faces(config, _with_rows(train, arrays[0]))
    return ActivationInputs(batches, measured_activations, _with_rows(val, arrays[len(views)]))


def _with_rows(part: Part, activations: ShardedArray) -> ActivationPart:
    faces = part.faces.assign(activation_row=np.arange(len(part)))
    return ActivationPart(faces, part.labels, part.pixels, activations)


def _about(
    config: Config, part: Part, view: int | None, frozen: keras.Model, weights: str
) -> dict[str, Any]:
    """Returns everything that the activations depend on; its hash is their key."""
    values = activation_values(config, is_view=view is not None)
    values.pop("augmentation.cached_views", None)  # each view has a cache of its own
    digests = " ".join(part.faces["digest"])
    return {
        "rows": len(part),
        "row_shape": list(frozen.output.shape[1:]),
        "pictures": hashlib.sha256(digests.encode()).hexdigest(),
        "decoding": cache.recipe(config.data),
        "keras": f"{keras.__version__} {keras.backend.backend()}",
        "view": view,
        "augmentation": None if view is None else augmentation.code_version(),
        **{key: value if isinstance(value, int) else str(value) for key, value in values.items()},
        "model.weights": weights,  # by content, not by name
    }


def _has_room(folder: Path, abouts: list[dict[str, Any]], frozen: str) -> bool:
    """Returns whether the disk has room for what is missing, and says what will be computed."""
    missing = [num_missing_rows(folder, about) for about in abouts]
    needed = sum(
        num_bytes(rows, about["row_shape"]) for rows, about in zip(missing, abouts, strict=True)
    )
    if not needed:
        return True
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    pictures = sum(missing)
    size = f"{needed / 1e6:,.0f} MB in {folder}"
    if needed > 0.95 * free:
        stderr.print(
            f"The activation cache is off: it takes {size}, where {free / 1e6:,.0f} MB are free. "
            "To use it: data.cache_dir=<another folder>, or `make caches` to free some space"
        )
        return False
    stderr.print(
        f"Computing the activations of the frozen layers ({frozen}) for {pictures:,} pictures, "
        f"once for all trials: {size}."
    )
    return True


def _open(
    folder: Path, about: dict[str, Any], part: Part, view: int | None, config: Config,
    frozen: keras.Model,
) -> ShardedArray:  # fmt: skip
    size = config.fit.eval_batch_size

    def compute(rows: np.ndarray) -> np.ndarray:
        batches = progress(_filled(rows, size), "frozen layers", -(-len(rows) // size))
        return np.concatenate(
            [
                predict(frozen, _pictures(part, indices, config, view))[:count]
                for indices, count in batches
            ]
        )

    return open_or_build(folder, about, compute)


def _pictures(part: Part, indices: np.ndarray, config: Config, view: int | None) -> np.ndarray:
    if view is None:
        return part.images(indices)
    return view_images(part, indices, config.augmentation, view)


def _filled(rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yields batches of one size, padded with the last row, because each size would be traced."""
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        yield np.pad(batch, (0, size - len(batch)), mode="edge"), len(batch)


def _weights_digest(weights: str) -> str:
    with fetch_weights(weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
