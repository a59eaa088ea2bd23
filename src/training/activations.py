"""Activations of frozen layers, computed once and shared by trials."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from src.config import Config, activation_values
from src.core.console import progress, stderr
from src.data import Dataset, Part, TrainingBatches, augmentation, cache, shards
from src.data.batches import view_images
from src.data.shards import ShardedArray
from src.model.backbone import fetch_weights
from src.training.measurement import Measured, filled_batches, measure, predict


@dataclass(frozen=True)
class ActivationPart(Part):
    """Faces with their activations; `faces` has a column `activation_row`."""

    activations: ShardedArray

    def inputs(self, indices: np.ndarray) -> np.ndarray:
        """Returns the activations of these faces, float16 `(k, …)`."""
        return self.activations[self.faces["activation_row"].to_numpy()[indices]]


@dataclass(frozen=True)
class ActivationBatches(TrainingBatches):
    """Batches of activations instead of pictures: same faces, order and views.

    Attributes:
        views: Activations of the whole part, for each of its views.
    """

    views: list[ShardedArray]

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns activations, float16 `(b, …)`, and labels, float32 `(b, 1)`."""
        indices, numbers = self.chosen(epoch, number)
        activations = self.views[0][indices]
        for view, array in enumerate(self.views[1:], start=1):
            activations[numbers == view] = array[indices[numbers == view]]
        return activations, self.part.labels[indices, None]


@dataclass(frozen=True)
class Inputs:
    """Inputs of a trial's model.

    Attributes:
        batches: Training batches.
        parts: Faces to measure, by `train` and `val`.
    """

    batches: TrainingBatches
    parts: dict[str, Part]

    def measure(self, regressor: keras.Model, batch_size: int) -> dict[str, Measured]:
        """Returns the parts as a model predicts them, by the same names."""
        return {name: measure(regressor, part, batch_size) for name, part in self.parts.items()}


def picture_inputs(config: Config, dataset: Dataset) -> Inputs:
    """Returns pictures as inputs."""
    train = dataset.part("train")
    batches = TrainingBatches(train, config.data.batch_size, config.augmentation, config.seed)
    measured = _measured_training_faces(config, train)
    return Inputs(batches, {"train": measured, "val": dataset.part("val")})


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


def activation_inputs(config: Config, dataset: Dataset, frozen: keras.Model) -> Inputs | None:
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
    measured = _measured_training_faces(config, train)
    if config.augmentation.changes_pictures:
        views: list[int | None] = list(range(config.augmentation.cached_views or 1))
        wanted = [*((train, view) for view in views), (val, None), (measured, None)]
    else:
        views, wanted = [None], [(train, None), (val, None)]
    with fetch_weights(config.model.weights or "").open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    abouts = [_about(config, part, view, frozen, weights) for part, view in wanted]
    if not _has_room(folder, abouts, config.model.freeze):
        return None
    try:
        arrays = [
            _open(folder, about, part, view, config, frozen)
            for (part, view), about in zip(wanted, abouts, strict=True)
        ]
    except shards.NotFloat16Error as error:
        stderr.print(f"The activation cache is off: an activation is no float16; {error}.")
        return None
    batches = ActivationBatches(
        train, config.data.batch_size, config.augmentation, config.seed, arrays[: len(views)]
    )
    if config.augmentation.changes_pictures:
        measured = _with_rows(measured, arrays[-1])
    else:
        measured = _measured_training_faces(config, _with_rows(train, arrays[0]))
    return Inputs(batches, {"train": measured, "val": _with_rows(val, arrays[len(views)])})


def _measured_training_faces(config: Config, train: Part) -> Part:
    """Returns the training faces that are measured, the same in all trials of a study."""
    return train.subset(config.fit.train_eval_limit, config.data.split.seed)


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
        "augmentation": None if view is None else augmentation.VERSION,
        **{key: value if isinstance(value, int) else str(value) for key, value in values.items()},
        "model.weights": weights,  # by content, not by name
    }


def _has_room(folder: Path, abouts: list[dict[str, Any]], frozen: str) -> bool:
    """Returns whether the disk has room for what is missing, and says what will be computed."""
    pictures = sum(shards.num_missing_rows(folder, about) for about in abouts)
    if not pictures:
        return True
    needed = shards.num_bytes(pictures, abouts[0]["row_shape"])
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
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
    def compute(rows: np.ndarray) -> np.ndarray:
        batches = filled_batches(rows, config.fit.eval_batch_size)
        outputs = [
            predict(frozen, view_images(part, indices, config.augmentation, view))
            for indices in progress(batches, "frozen layers", len(batches))
        ]
        return np.concatenate(outputs)[: len(rows)]

    return shards.open_or_build(folder, about, compute)
