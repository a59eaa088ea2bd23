"""Steps of full fine-tuning on a GPU: from cached pictures, and on one batch in the GPU's memory.

    python -m tests.benchmarks.gpu_steps
    KERAS_BACKEND=jax python -m tests.benchmarks.gpu_steps    # where TensorFlow is not beside it

Both sides `fit` the same compiled ResNet50 at 224 px. Ours reads what a trial reads, two batches
ahead: gathered from the memory map, mirrored and turned (`augmentation=seed`, the dearest), with
the trial's check of every loss. Theirs gets the same batch at every step, which never leaves the
GPU. They take turns; what counts is the median. Faces are drawn; four minutes on an H200.
"""

import itertools
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import keras

from src.cli.command_line import compose_config
from src.config import Config
from src.data import Dataset, Part, TrainingBatches, prepare
from src.data.epoch_batches import NUM_READERS, EpochBatches
from src.training.callbacks import StepWatch
from src.training.program import Program, start_program
from tests.benchmarks.rows import Row, rate_row, write

NUM_PICTURES = 2048
EPOCH_PICTURES = 6144  # that are timed at a time
NUM_ROUNDS = 5
CASES = (("float32", 32), ("mixed_bfloat16", 32), ("mixed_bfloat16", 128), ("mixed_bfloat16", 256))
FLOPS = 3 * 2 * 3.8e9  # of a picture: multiply-adds (He et al. 2016, table 1), there and back


def main() -> None:
    """Measure and write the rows."""
    gpu = gpu_name()
    if not gpu:
        print("No NVIDIA GPU here (nvidia-smi finds none): nothing is measured.")
        return
    with tempfile.TemporaryDirectory() as cache_dir:
        config = configuration(cache_dir, *CASES[0])
        dataset = prepare(config.data, config.target)
        rows = [row(gpu, configuration(cache_dir, *case), first_faces(dataset)) for case in CASES]
    write("gpu_steps", rows)


def gpu_name() -> str:
    """Of the first one; empty where there is none."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip().split("\n")[0]


def configuration(cache_dir: str, precision: str, batch_size: int) -> Config:
    """A trial's that trains all layers from random weights."""
    return compose_config([
        "model.weights=null", f"data.num_images={NUM_PICTURES}", f"data.cache_dir={cache_dir}",
        "augmentation=seed", f"fit.precision={precision}", f"data.batch_size={batch_size}",
        "fit.deterministic=false", "fit.jit_compile=true",
    ])  # fmt: skip


def first_faces(dataset: Dataset) -> Part:
    """As many as fill batches of any size here, because each size would be compiled again."""
    count = len(dataset.faces) // 256 * 256
    faces = dataset.faces.iloc[:count]
    return Part(faces, faces["age"].to_numpy("float32"), dataset.pixels)


def row(gpu: str, config: Config, faces: Part) -> Row:
    """One precision and batch size."""
    size = config.data.batch_size
    steps = EPOCH_PICTURES // size
    program = start_program(config, float(faces.labels.mean()), steps, is_cached=False)
    batches = TrainingBatches(faces, size, config.augmentation, config.seed)
    sides = (cached(program, batches, steps), in_memory(program, batches, steps))
    taken: dict[Callable[[], None], list[float]] = {side: [] for side in sides}
    for _ in range(NUM_ROUNDS + 1):
        for side, seconds in taken.items():
            started = time.perf_counter()
            side()
            seconds.append(time.perf_counter() - started)
    ours, theirs = (steps * size / median(seconds[1:]) for seconds in taken.values())
    return rate_row(
        f"full fine-tuning on {gpu}, {keras.backend.backend()}, 224 px, {config.fit.precision}, "
        f"batch {size}, flips and rotation, from the cache",
        "the same step on one batch in the GPU's memory", ours, theirs, "images/s", 0.95,
        f"the step: {theirs * FLOPS / 1e12:.0f} TFLOP/s{traffic(program, batches, theirs)}; the "
        f"pipeline without a step: {reading_rate(batches):,.0f} images/s",
        f"KERAS_BACKEND={keras.backend.backend()} python -m tests.benchmarks.gpu_steps",
    )  # fmt: skip


def cached(program: Program, batches: TrainingBatches, steps: int) -> Callable[[], None]:
    """An epoch as a trial has it."""
    epoch_batches = EpochBatches(batches)
    watch = StepWatch(epoch_batches)
    arrays = read_ahead(batches)
    return lambda: fit(program, arrays, steps, [watch])


def in_memory(program: Program, batches: TrainingBatches, steps: int) -> Callable[[], None]:
    """An epoch on one batch, which is on the GPU."""
    batch = on_gpu(batches, 0, 0)
    arrays = (batch for _ in itertools.count())  # Keras wants a generator
    return lambda: fit(program, arrays, steps, [])


def fit(program: Program, arrays: Iterator[Any], steps: int, callbacks: list[Any]) -> None:
    """One epoch."""
    program.fitted.fit(arrays, steps_per_epoch=steps, callbacks=callbacks, shuffle=False, verbose=0)


def read_ahead(batches: TrainingBatches) -> Iterator[Any]:
    """One epoch after another as `EpochBatches` reads them, without TensorFlow."""
    numbers = ((epoch, number) for epoch in itertools.count() for number in range(len(batches)))
    ahead: deque[Any] = deque()
    with ThreadPoolExecutor(NUM_READERS) as pool:
        while True:
            while len(ahead) < 2 * NUM_READERS:
                ahead.append(pool.submit(on_gpu, batches, *next(numbers)))
            yield ahead.popleft().result()


def on_gpu(batches: TrainingBatches, epoch: int, number: int) -> tuple[Any, ...]:
    """A batch as tensors."""
    return tuple(map(keras.ops.convert_to_tensor, batches.batch(epoch, number)))


def reading_rate(batches: TrainingBatches) -> float:
    """Images/s where no step is taken."""
    arrays = read_ahead(batches)
    counts = [len(next(arrays)[0]) for _ in range(2 * NUM_READERS)]
    started = time.perf_counter()
    counts = [len(next(arrays)[0]) for _ in range(len(batches))]
    return sum(counts) / (time.perf_counter() - started)


def traffic(program: Program, batches: TrainingBatches, rate: float) -> str:
    """Bytes that XLA counts for a step, as a rate; empty on other backends than JAX."""
    if keras.backend.backend() != "jax":
        return ""
    import jax

    model = program.fitted
    state = model._get_jax_state(
        trainable_variables=True, non_trainable_variables=True, optimizer_variables=True,
        metrics_variables=True,
    )  # fmt: skip
    batch = on_gpu(batches, 0, 0)
    cost = jax.jit(model.train_step).lower(state, batch).compile().cost_analysis()
    num_bytes = cost["bytes accessed"] * rate / len(batch[0])
    return f" and, as XLA counts, {num_bytes / 1e12:.2f} TB/s of memory"


if __name__ == "__main__":
    main()
