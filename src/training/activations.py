"""Outputs of frozen layers, computed once and read by all trials that share them."""

import functools
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from src.config import Config
from src.core.console import progress, stderr
from src.data import Dataset, Part, TrainingBatches
from src.data.batches import view_images
from src.data.shards import ShardedArray, num_bytes, num_missing_rows, open_or_build
from src.model import fetch_weights
from src.training.measurement import Measured, measure, measured_training_faces, predict


@dataclass(frozen=True)
class ActivationPart(Part):
    """Faces that the model sees as activations; `faces` has a column `activation_row`."""

    activations: ShardedArray

    def inputs(self, places: np.ndarray) -> np.ndarray:
        """What the learning layers get for these places, float16 `(k, …)`."""
        return self.activations[self.faces["activation_row"].to_numpy()[places]]


class ActivationBatches:
    """`TrainingBatches` with activations in the pictures' place: same faces, order and views."""

    def __init__(self, pictures: TrainingBatches, ages: np.ndarray, views: list[ShardedArray]):
        """Set up.

        Args:
            pictures: The same batches as pictures.
            ages: Of the whole part, years, shape `(n,)`.
            views: Activations of the whole part, for each of its views.
        """
        self._pictures = pictures
        self._ages = ages
        self._views = views

    def __len__(self) -> int:
        return len(self._pictures)

    def in_order_of(self, pictures: TrainingBatches) -> "ActivationBatches":
        """The same activations in the order, and of the size, of other batches of these faces."""
        return ActivationBatches(pictures, self._ages, self._views)

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Activations, float16 `(b, …)`, and ages, float32 `(b, 1)` in years."""
        places, views = self._pictures.chosen(epoch, number)
        activations = self._views[0][places]
        for view, array in enumerate(self._views[1:], start=1):
            activations[views == view] = array[places[views == view]]
        return activations, self._ages[places, None]


@dataclass(frozen=True)
class Inputs:
    """What a trial's model trains and is measured on.

    Attributes:
        batches: To train on.
        train: Training faces to measure.
        val: Validation faces to measure.
    """

    batches: TrainingBatches | ActivationBatches
    train: Part
    val: Part

    @property
    def parts(self) -> dict[str, Part]:
        """What is measured, by `train` and `val`."""
        return {"train": self.train, "val": self.val}

    def measure(self, regressor: keras.Model, batch_size: int) -> dict[str, Measured]:
        """The parts as a model predicts them, by the same names."""
        return {name: measure(regressor, part, batch_size) for name, part in self.parts.items()}


@dataclass(frozen=True)
class ActivationInputs(Inputs):
    """All of it from the activation cache."""

    batches: ActivationBatches
    train: ActivationPart
    val: ActivationPart


def picture_inputs(config: Config, dataset: Dataset) -> Inputs:
    """Pictures."""
    train = dataset.part("train")
    batches = TrainingBatches(train, config.data.batch_size, config.augmentation, config.seed)
    return Inputs(batches, measured_training_faces(config, train), dataset.part("val"))


def wants_activations(config: Config) -> bool:
    """Whether a cache is asked for and can be had; where it cannot, a line says why."""
    if config.model.freeze == "none" or not config.fit.cache_activations:
        return False
    augmentation = config.augmentation
    if augmentation.changes_pictures and augmentation.cached_views is None:
        stderr.print(
            "The activation cache is off: every step augments its pictures anew, so the frozen "
            "layers run at every step. To use it: augmentation.cached_views=8, or "
            "augmentation=none"
        )
        return False
    return True


def activation_inputs(
    config: Config, dataset: Dataset, frozen: keras.Model
) -> ActivationInputs | None:
    """Activations, computed where they are missing; None where there is no room for them.

    Args:
        config: The trial's.
        dataset: The trial's faces.
        frozen: From pictures to activations.

    Raises:
        NotFloat16Error: If an activation is too large for a float16.
        RuntimeError: If they cannot be written.
    """
    folder = Path(config.data.cache_dir) / "activations"
    train, val = dataset.part("train"), dataset.part("val")
    measured = measured_training_faces(config, train)
    if config.augmentation.changes_pictures:
        views: list[int | None] = list(range(config.augmentation.cached_views or 1))
        wanted = [*((train, view) for view in views), (val, None), (measured, None)]
    else:
        views, wanted = [None], [(train, None), (val, None)]
    abouts = [_about(config, part, view, frozen) for part, view in wanted]
    if not _has_room(folder, abouts, config.model.freeze):
        return None
    arrays = [
        _open(folder, about, part, view, config, frozen)
        for (part, view), about in zip(wanted, abouts, strict=True)
    ]
    pictures = TrainingBatches(train, config.data.batch_size, config.augmentation, config.seed)
    batches = ActivationBatches(pictures, train.ages, arrays[: len(views)])
    if config.augmentation.changes_pictures:
        measured_activations = _with_rows(measured, arrays[-1])
    else:
        measured_activations = measured_training_faces(config, _with_rows(train, arrays[0]))
    return ActivationInputs(batches, measured_activations, _with_rows(val, arrays[len(views)]))


def _with_rows(part: Part, activations: ShardedArray) -> ActivationPart:
    faces = part.faces.assign(activation_row=np.arange(len(part)))
    return ActivationPart(faces, part.ages, part.pixels, activations)


def _about(config: Config, part: Part, view: int | None, frozen: keras.Model) -> dict[str, Any]:
    """All that the activations depend on; and, for people, what they are."""
    digests = hashlib.sha256(" ".join(part.faces["digest"]).encode()).hexdigest()
    about = {
        "rows": len(part),
        "row_shape": list(frozen.output.shape[1:]),
        "pictures": digests,
        "decoder": str(config.data.decoder),
        "image_size": config.data.image_size,
        "input_mode": str(config.model.input_mode),
        "weights": _weights_digest(config.model.weights or ""),
        "frozen": config.model.freeze,
        "dropout_position": str(config.model.dropout_position),  # before it, pooling may be frozen
        "precision": str(config.fit.precision),
        "keras": f"{keras.__version__} {keras.backend.backend()}",
        "augmentation": None,
        "view": view,
    }
    if view is not None:
        about["augmentation"] = asdict(replace(config.augmentation, cached_views=None))
    return about


def _has_room(folder: Path, abouts: list[dict[str, Any]], frozen: str) -> bool:
    """Say what will be computed and how much it takes; whether the disk has that."""
    missing = {place: num_missing_rows(folder, about) for place, about in enumerate(abouts)}
    needed = sum(num_bytes(rows, abouts[place]["row_shape"]) for place, rows in missing.items())
    if not needed:
        return True
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    pictures = sum(missing.values())
    size = f"{needed / 1e6:,.0f} MB in {folder}"
    if needed > 0.95 * free:
        stderr.print(
            f"The activation cache is off: it takes {size}, where {free / 1e6:,.0f} MB are free. "
            "To use it: data.cache_dir=<another folder>, or `make caches` to see what can go"
        )
        return False
    stderr.print(
        f"Computing what the frozen layers ({frozen}) make of {pictures:,} pictures, once for all "
        f"trials: {size}."
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
                predict(frozen, _pictures(part, places, config, view))[:count]
                for places, count in batches
            ]
        )

    return open_or_build(folder, about, compute)


def _pictures(part: Part, places: np.ndarray, config: Config, view: int | None) -> np.ndarray:
    if view is None:
        return part.images(places)
    return view_images(part, places, config.augmentation, view)


def _filled(rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of one size, the last row repeated, because each size would be traced anew."""
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        yield np.pad(batch, (0, size - len(batch)), mode="edge"), len(batch)


def _weights_digest(weights: str) -> str:
    path = fetch_weights(weights)
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@functools.cache  # a tenth of a second, for each trial of a warm process
def _digest(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
