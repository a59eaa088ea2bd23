"""Trials on a frozen backbone as a user of keras-tuner alone would write them.

python -m tests.benchmarks.random_search <folder with labels.csv> <weights file> <trials>

Ends with the seconds that the process took before it began to search.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the project does: neither side is slower

import keras
import keras_tuner
import pandas as pd
import psutil
import tensorflow as tf

SIZE, EPOCHS = 64, 5


class FrozenResNet(keras_tuner.HyperModel):
    """The same model, space and measurement as `frozen_backbone.SWEEP`."""

    def __init__(self, weights: str) -> None:
        super().__init__()
        self.weights = weights

    def build(self, hp):
        pictures = keras.Input((SIZE, SIZE, 3))
        backbone = keras.applications.ResNet50(
            include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)
        )
        backbone.load_weights(self.weights)
        backbone.trainable = False
        x = backbone(keras.applications.resnet.preprocess_input(pictures))
        x = keras.layers.Dropout(hp.Choice("dropout", [0.0, 0.2, 0.5]))(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = keras.Model(pictures, keras.layers.Dense(1)(x))
        rate = hp.Choice("learning_rate", [1e-4, 1e-3, 3e-3, 1e-2])
        model.compile(keras.optimizers.Adam(rate), loss="mae", metrics=["mae"])
        return model

    def fit(self, hp, model, train, validation_data, **options):
        size = hp.Choice("batch_size", [16, 32])
        return model.fit(
            train.shuffle(10_000).batch(size).prefetch(tf.data.AUTOTUNE),
            validation_data=validation_data.batch(64).prefetch(tf.data.AUTOTUNE),
            **options,
        )


class RandomSearch(keras_tuner.RandomSearch):
    """Keras-tuner's, which imports TensorBoard before it looks whether anybody wants it."""

    def _configure_tensorboard_dir(self, callbacks, trial, execution=0):
        pass


def decoded(folder: Path, table: pd.DataFrame) -> tf.data.Dataset:
    def decode(path, age):
        pixels = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(pixels, (SIZE, SIZE)), age

    paths = [str(folder / "final_files" / name) for name in table["file_name"]]
    ages = table["real_age"].astype("float32").to_numpy()
    faces = tf.data.Dataset.from_tensor_slices((paths, ages))
    return faces.map(decode, num_parallel_calls=tf.data.AUTOTUNE).cache()


def main() -> None:
    folder, weights, trials = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    table = pd.read_csv(folder / "labels.csv").sample(frac=1, random_state=0)
    num_val, num_train = len(table) // 5, len(table) * 3 // 5
    train, val = table[:num_train], table[num_train : num_train + num_val]
    tuner = RandomSearch(
        FrozenResNet(weights), objective="val_mae", max_trials=trials, overwrite=True,
        directory="random_search", seed=1,
    )  # fmt: skip
    start_seconds = time.time() - psutil.Process().create_time()
    tuner.search(
        decoded(folder, train), validation_data=decoded(folder, val), epochs=EPOCHS, verbose=2
    )
    tuner.results_summary(1)
    print(start_seconds)


if __name__ == "__main__":
    main()
