"""Pictures a second into the step, from files on disk, beside what users of Keras do otherwise.

    python -m tests.benchmarks.input_pipeline              # 1,500 drawn faces: 5 minutes, 2 cores
    python -m tests.benchmarks.input_pipeline <folder>     # with `labels.csv` and `final_files/`

Every side feeds `fit` with batches of 32 pictures of 224 px. The model reads four pixels of each,
so that the step costs next to nothing. The first epoch is counted from the table of files on: ours
includes the audit and the decoding into the cache. The files were read before, so all sides get
them from the system's memory. The sides take turns, three times, each time in a process of its own;
what counts is the median. Deterministic operations are off, as they would slow the peers down; ours
reads two batches at a time with and without them.
"""

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import cv2
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from hydra import compose, initialize_config_dir
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from src.cli.command_line import register_schema
from src.config import Config, to_config
from src.config.overrides import adapt_overrides
from src.data import Part, TrainingBatches, prepare
from src.data.epoch_batches import EpochBatches
from src.data.sample import draw_ages, draw_face
from tests.benchmarks.rows import Row, rate_row, write

CONFIGURATIONS = Path(__file__).parents[2] / "conf"
COMMAND = "python -m tests.benchmarks.input_pipeline"
NUM_PICTURES = 1500
SIZE = 224
BATCH_SIZE = 32
NUM_ROUNDS = 3

Found = TypeVar("Found")


@dataclass(frozen=True)
class Measured:
    """One side of a comparison, in pictures a second.

    Attributes:
        first: Of the first epoch with all that precedes it.
        warm: Of the later epochs, their median.
    """

    first: float
    warm: float


class EpochClock(keras.callbacks.Callback):
    """Seconds of each epoch; tells `before` which one begins."""

    def __init__(self, before: Callable[[int], None]) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._before = before

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._before(epoch)
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._started)


def main() -> None:
    """Measure and write the rows."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "faces"
        write_faces(root, Path(sys.argv[1]) if sys.argv[1:] else None)
        found = in_turns(
            {
                "turning generator": partial(turning_generator, root),
                "flipping generator": partial(flipping_generator, root),
                "flipping tf.data": partial(flipping_pipeline, root),
                "turning": partial(ours, root, "augmentation=seed"),
                "flipping": partial(ours, root, "augmentation=flip"),
            }
        )
        limit = in_a_process(partial(limits, root))

    def row(what: str, epoch: str, our_side: str, peer: str, at_least: float) -> Row:
        return rate_row(
            f"input pipeline, {SIZE} px, {what}",
            "ImageDataGenerator" if "generator" in peer else "tf.data",
            getattr(found[our_side], epoch), getattr(found[peer], epoch), "images/s", at_least,
            limit, COMMAND,
        )  # fmt: skip

    write("input_pipeline", [
        row("flips and rotation, warm", "warm", "turning", "turning generator", 20),
        row("flips and rotation, first epoch", "first", "turning", "turning generator", 1),
        row("flip, warm", "warm", "flipping", "flipping generator", 15),
        row("flip, warm", "warm", "flipping", "flipping tf.data", 5),
        row("flip, first epoch", "first", "flipping", "flipping generator", 1),
        row("flip, first epoch", "first", "flipping", "flipping tf.data", 1),
    ])  # fmt: skip


def in_turns(sides: dict[str, Callable[[], Measured]]) -> dict[str, Measured]:
    """The median of what each side reaches in `NUM_ROUNDS` processes."""
    rounds = [{name: in_a_process(side) for name, side in sides.items()} for _ in range(NUM_ROUNDS)]
    return {
        name: Measured(
            median(each[name].first for each in rounds), median(each[name].warm for each in rounds)
        )
        for name in sides
    }


def in_a_process(work: Callable[[], Found]) -> Found:
    """Returns the result of a function in a new process.

    What one side leaves behind moves the next: Keras's `PyDataset` changes how the process gets
    its memory, so that batches cost a fifth more from then on.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(take_a_step).result()
        return pool.submit(work).result()


def take_a_step() -> None:
    """Make TensorFlow ready; its objects are not collected, as in a trial's process (`imports`)."""
    gc.freeze()
    regressor("uint8").fit(tf.data.Dataset.from_tensors(some_batch("uint8")), verbose=0)


def write_faces(root: Path, source: Path | None) -> None:
    """A folder of `NUM_PICTURES` faces: the first of another such folder, or drawn, 200 px."""
    (root / "final_files").mkdir(parents=True)
    if source is not None:
        table = pd.read_csv(source / "labels.csv").head(NUM_PICTURES)
        for name in table["file_name"]:
            content = (source / "final_files" / name).read_bytes()
            (root / "final_files" / name).write_bytes(content)
    else:
        ages = draw_ages(NUM_PICTURES)
        names = [f"{place}.jpg" for place in range(NUM_PICTURES)]
        for place, name in enumerate(names):
            face = draw_face(float(ages[place]), np.random.default_rng([0, place]))
            face = cv2.resize(face, (200, 200), interpolation=cv2.INTER_LINEAR)
            cv2.imwrite(str(root / "final_files" / name), face[..., ::-1])
        table = pd.DataFrame({"file_name": names, "real_age": ages})
    table.to_csv(root / "labels.csv", index=False)


def read_table(root: Path) -> tuple[list[str], np.ndarray]:
    """Paths and ages, as a peer begins."""
    table = pd.read_csv(root / "labels.csv")
    paths = [str(root / "final_files" / name) for name in table["file_name"]]
    return paths, table["real_age"].to_numpy(np.float32)


def fit(
    batches: Any, dtype: str, num_epochs: int, before: Callable[[int], None] = lambda epoch: None
) -> list[float]:
    """Seconds of each epoch of a model that reads four pixels of each picture."""
    clock = EpochClock(before)
    regressor(dtype).fit(batches, epochs=num_epochs, callbacks=[clock], shuffle=False, verbose=0)
    return clock.seconds


def regressor(dtype: str) -> keras.Model:
    """The model, compiled."""
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3), dtype=dtype),
            keras.layers.Cropping2D(((0, SIZE - 2), (0, SIZE - 2))),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mae")
    return model


def measured(started: float, epochs: list[float], num_pictures: int) -> Measured:
    """Returns the result of a side that began at `started` and has just ended."""
    first_seconds = time.perf_counter() - started - sum(epochs[1:])
    return Measured(num_pictures / first_seconds, num_pictures / median(epochs[1:]))


def some_batch(dtype: str) -> tuple[tf.Tensor, tf.Tensor]:
    """A batch that costs nothing."""
    return tf.zeros((BATCH_SIZE, SIZE, SIZE, 3), dtype), tf.zeros((BATCH_SIZE, 1))


def turning_generator(root: Path) -> Measured:
    """Keras's `ImageDataGenerator`: both flips and rotation."""
    changes = {"horizontal_flip": True, "vertical_flip": True, "rotation_range": 90}
    return generator(root, 2, changes)


def flipping_generator(root: Path) -> Measured:
    """The same, horizontal flip only."""
    return generator(root, 4, {"horizontal_flip": True})


def generator(root: Path, num_epochs: int, changes: dict[str, Any]) -> Measured:
    """Keras's `ImageDataGenerator`."""
    started = time.perf_counter()
    paths, ages = read_table(root)
    batches = ImageDataGenerator(rescale=1 / 255, **changes).flow_from_dataframe(
        pd.DataFrame({"path": paths, "age": ages}), x_col="path", y_col="age", class_mode="raw",
        target_size=(SIZE, SIZE), batch_size=BATCH_SIZE,
    )  # fmt: skip
    return measured(started, fit(batches, "float32", num_epochs), len(paths))


def flipping_pipeline(root: Path) -> Measured:
    """`tf.data` as its guide to performance has it: horizontal flip."""

    def read(path: tf.Tensor, age: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        picture = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        picture = tf.image.resize(picture, (SIZE, SIZE))
        return tf.image.random_flip_left_right(picture), age

    started = time.perf_counter()
    paths, ages = read_table(root)
    batches = (
        tf.data.Dataset.from_tensor_slices((paths, ages[:, None]))
        .shuffle(len(paths))
        .map(read, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(BATCH_SIZE, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
    return measured(started, fit(batches, "float32", 6), len(paths))


def ours(root: Path, *overrides: str) -> Measured:
    """Training batches of a trial, with a cache that is built first."""
    with tempfile.TemporaryDirectory() as cache_dir:
        config = configuration(root, cache_dir, *overrides)
        started = time.perf_counter()
        faces = all_faces(config)
        batches = EpochBatches(TrainingBatches(faces, BATCH_SIZE, config.augmentation, seed=0))

        def turn_to(epoch: int) -> None:
            batches.epoch = epoch

        return measured(started, fit(batches.dataset(), "uint8", 20, turn_to), len(faces))


def configuration(root: Path, cache_dir: str, *overrides: str) -> Config:
    """A trial's, on these faces."""
    register_schema()
    data = ["data=labels_csv", f"data.root={root}", f"data.image_size={SIZE}",
            f"data.cache_dir={cache_dir}"]  # fmt: skip
    with initialize_config_dir(str(CONFIGURATIONS), version_base="1.3"):
        return to_config(compose("config", overrides=adapt_overrides([*data, *overrides])))


def all_faces(config: Config) -> Part:
    """Every usable face, of all parts of the split."""
    dataset = prepare(config.data, config.target)
    return Part(dataset.faces, dataset.faces["age"].to_numpy(np.float32), dataset.pixels)


def limits(root: Path) -> str:
    """Limits by memory, disk and OpenCV, in pictures a second."""
    with tempfile.TemporaryDirectory() as cache_dir:
        pixels = np.asarray(all_faces(configuration(root, cache_dir)).pixels)
        started = time.perf_counter()
        pixels.tofile(Path(cache_dir) / "copy")
        write = len(pixels) / (time.perf_counter() - started)
    rng = np.random.default_rng(0)
    batch = np.empty((BATCH_SIZE, SIZE, SIZE, 3), np.uint8)
    other = np.ones_like(batch)
    turn = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), 30, 1)

    def rate(work: Callable[[np.ndarray], object]) -> float:
        seconds = []
        for _ in range(20):
            indices = rng.integers(len(pixels), size=BATCH_SIZE)
            started = time.perf_counter()
            work(indices)
            seconds.append(time.perf_counter() - started)
        return BATCH_SIZE / median(seconds)

    def warp(indices: np.ndarray) -> None:
        for target, index in zip(batch, indices, strict=True):
            cv2.warpAffine(pixels[index], turn, (SIZE, SIZE), dst=target,
                           borderMode=cv2.BORDER_REPLICATE)  # fmt: skip

    gather = rate(lambda indices: np.take(pixels, indices, axis=0, out=batch, mode="clip"))
    copy = rate(lambda indices: np.copyto(batch, other))
    tensors = tf.data.Dataset.from_tensors(some_batch("uint8")).repeat(50).prefetch(2)
    step = 50 * BATCH_SIZE / median(fit(tensors, "uint8", 10))
    return (
        f"images/s: writing a new cache's bytes: {write:,.0f}; gather from the memory map, one "
        f"core: {gather:,.0f}; memcpy: {copy:,.0f} ({copy * batch[0].nbytes / 1e9:.1f} GB/s); "
        f"OpenCV's warp, {cv2.getNumThreads()} cores: {rate(warp):,.0f}; the step alone: "
        f"{step:,.0f}"
    )


if __name__ == "__main__":
    main()
