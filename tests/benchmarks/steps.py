"""Images/s of training or measuring with a ResNet50, and the seconds of the first step.

    python -m tests.benchmarks.steps train|evaluate [<override> ...]

BENCHMARK_CORES=1 or 2 keeps the process on that core.
"""

import os
import sys
import time
from statistics import median

cores = os.environ.get("BENCHMARK_CORES")
if cores:
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[int(cores) - 1]})

import numpy as np  # noqa: E402  cores first: TensorFlow counts them when it is imported

from src.cli.command_line import compose_config  # noqa: E402
from src.data import prepare  # noqa: E402
from src.training.start import start_model  # noqa: E402

STEPS = 12
BASE = ["model.weights=null", "data.image_size=64", "data.num_images=400"]


def main() -> None:
    what, overrides = sys.argv[1], sys.argv[2:]
    config = compose_config([*BASE, *overrides])
    program, inputs = start_model(config, prepare(config.data, config.target))
    if what == "train":
        batch = inputs.batches.batch(0, 0)

        def step() -> None:
            program.fitted.train_on_batch(*batch)
    else:
        size = config.fit.eval_batch_size
        batch = (np.zeros((size, config.data.image_size, config.data.image_size, 3), np.uint8),)

        def step() -> None:
            program.fitted.predict_on_batch(*batch)

    seconds = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    print(len(batch[0]) / median(seconds[2:]), seconds[0])


if __name__ == "__main__":
    main()
