"""Images/s of full fine-tuning, as a trial does it and as a bare `model.fit` on arrays.

    python -m tests.benchmarks.fine_tuning_steps <rounds>

One compiled model, epochs of both in turn; the medians are printed.
"""

import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from src.cli.command_line import compose_config
from src.data import prepare
from src.data.epoch_batches import EpochBatches
from src.training.callbacks import StepWatch
from src.training.start import start_model


def main() -> None:
    rounds = int(sys.argv[1])
    config = compose_config(
        ["model.weights=null", "data.image_size=64", "data.num_images=430", "augmentation=flip"]
    )
    dataset = prepare(config.data, config.target)
    program, inputs = start_model(config, dataset)
    train = dataset.part("train")
    places = np.arange(len(train))
    pictures, ages = train.inputs(places), train.labels[:, None]
    batches = EpochBatches(inputs.batches)
    watch = StepWatch(batches)

    def ours() -> None:
        program.fitted.fit(batches.dataset(), epochs=1, callbacks=[watch], shuffle=False, verbose=0)

    def theirs() -> None:
        program.fitted.fit(pictures, ages, batch_size=config.data.batch_size, verbose=0)

    taken: dict[Callable[[], None], list[float]] = {ours: [], theirs: []}
    for _ in range(rounds + 1):
        for fit, seconds in taken.items():
            started = time.perf_counter()
            fit()
            seconds.append(time.perf_counter() - started)
    print(*(len(train) / median(seconds[1:]) for seconds in taken.values()))


if __name__ == "__main__":
    main()
