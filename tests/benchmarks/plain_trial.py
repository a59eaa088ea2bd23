"""One trial as a user of Keras alone would write it: a ResNet50 on arrays in memory.

    python -m tests.benchmarks.plain_trial <px> <training faces> <validation faces> <epochs>

Prints the seconds that its steps took: every epoch counts as much as the later ones took.
"""

import os
import sys
import time
from statistics import median

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the project does: neither side is slower

import keras
import numpy as np


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.seconds.append(time.perf_counter() - self.started)


def main() -> None:
    size, num_train, num_val, epochs = map(int, sys.argv[1:])
    rng = np.random.default_rng(0)
    train, val = (
        (rng.integers(0, 256, (count, size, size, 3)).astype("float32"), rng.uniform(1, 90, count))
        for count in (num_train, num_val)
    )
    pictures = keras.Input((size, size, 3))
    backbone = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(size, size, 3)
    )
    x = backbone(keras.applications.resnet.preprocess_input(pictures))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Dropout(0.2)(x))
    model = keras.Model(pictures, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.Adam(1e-4), loss="mae", metrics=["mae"])
    clock = Clock()
    model.fit(*train, batch_size=32, epochs=epochs, validation_data=val, verbose=0,
              callbacks=[clock])  # fmt: skip
    print(epochs * median(clock.seconds[1:]))


if __name__ == "__main__":
    main()
