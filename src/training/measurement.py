"""Errors after an epoch and at the end, in inference mode on pictures without augmentation."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from src.config import Config, objective_of
from src.core import names
from src.core.metrics import baseline_metrics, mean_absolute_error, regression_metrics
from src.core.signals import whole_step
from src.data import Part
from src.statistics.intervals import difference_interval, mean_interval
from src.training.history import EpochRecord, History


@dataclass(frozen=True)
class Measured:
    """A part of the data with the model's predictions for it.

    Attributes:
        part: The faces.
        predictions: In the unit of the target, shape `(n,)`.
    """

    part: Part
    predictions: np.ndarray

    @property
    def mae(self) -> float:
        """Mean absolute error."""
        return mean_absolute_error(self.part.labels, self.predictions)

    @property
    def absolute_errors(self) -> np.ndarray:
        """|prediction − label| of each face, shape `(n,)`."""
        return np.abs(self.predictions - self.part.labels)

    def table(self, column: str) -> pd.DataFrame:
        """Returns a row for each face: row, file_name, label (in `column`) and prediction."""
        return self.part.faces[["row", "file_name", column]].assign(prediction=self.predictions)


def measure(regressor: keras.Model, part: Part, batch_size: int) -> Measured:
    """Predicts the labels of a part, in order, from pictures or their activations.

    Keras's `predict` is not used: it makes a TensorFlow iterator for each call, with the cost
    that `EpochBatches.dataset` describes.
    """
    batches = filled_batches(np.arange(len(part)), batch_size)
    predictions = [predict(regressor, part.inputs(indices))[:, 0] for indices in batches]
    return Measured(part, np.concatenate(predictions)[: len(part)].astype(np.float32))


def filled_batches(rows: np.ndarray, size: int) -> np.ndarray:
    """Returns batches of one size, because each size would be traced: shape `(batches, size)`.

    The last one is filled with the last row.
    """
    return np.pad(rows, (0, -len(rows) % size), mode="edge").reshape(-1, size)


def predict(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Returns the outputs of a model for a batch."""
    with whole_step():
        outputs: np.ndarray = model.predict_on_batch(inputs)
    return outputs


def epoch_metrics(measured: Mapping[str, Measured], loss: str) -> EpochRecord:
    """Returns MAE and loss on training and validation faces, and the generalisation gap.

    Both are in inference mode, without dropout and augmentation; the running training loss is
    not comparable with them.
    """
    (metrics,) = epoch_metrics_of_many(
        {name: each.part for name, each in measured.items()},
        {name: each.predictions[None] for name, each in measured.items()},
        loss,
    )
    return metrics


def epoch_metrics_of_many(
    parts: Mapping[str, Part], predictions: Mapping[str, np.ndarray], loss: str
) -> list[EpochRecord]:
    """Returns `epoch_metrics` of several models.

    Args:
        parts: The faces, by `train` and `val`.
        predictions: Predictions by the same names, shape `(models, n)`.
        loss: Keras's name of the loss.
    """
    metrics: dict[str, np.ndarray] = {}
    for name, part in parts.items():
        labels = np.broadcast_to(part.labels, predictions[name].shape)
        errors = np.subtract(predictions[name], labels, dtype=np.float64)
        metrics[f"mae/{name}"] = np.abs(errors).mean(axis=1)
        losses = keras.losses.get(loss)(labels, predictions[name])
        metrics[f"loss/{name}"] = keras.ops.convert_to_numpy(losses)
    metrics[names.GAP] = metrics[names.VAL_MAE] - metrics[names.TRAIN_MAE]
    return [
        {key: float(values[index]) for key, values in metrics.items()}
        for index in range(len(metrics[names.GAP]))
    ]


def final_metrics(
    history: History,
    best: Mapping[str, Measured],
    kept: Mapping[str, Measured],
    train_labels: np.ndarray,
) -> dict[str, float]:
    """Returns the trial's scalars: best and last epoch, and the kept epoch's errors in detail.

    Args:
        history: All epochs.
        best: Training faces (`train`) and validation faces (`val`) as the best epoch predicts
            them.
        kept: The same faces as the kept epoch predicts them.
        train_labels: All training labels, for the mean and median predictors.
    """
    first, last = history.epochs[history.best_epoch - 1], history.epochs[-1]
    gap_low, gap_high = difference_interval(
        best["val"].absolute_errors, best["train"].absolute_errors
    )
    metrics = {
        names.BEST_VAL_MAE: first[names.VAL_MAE],
        **mae_interval(names.BEST_VAL_MAE, best["val"].absolute_errors),
        names.BEST_TRAIN_MAE: first[names.TRAIN_MAE],
        names.BEST_GAP: first[names.GAP],
        names.low(names.BEST_GAP): gap_low,
        names.high(names.BEST_GAP): gap_high,
        names.BEST_EPOCH: history.best_epoch,
        names.LAST_VAL_MAE: last[names.VAL_MAE],
        names.LAST_TRAIN_MAE: last[names.TRAIN_MAE],
        names.LAST_GAP: last[names.GAP],
        **part_metrics("val", kept["val"], train_labels),
        names.SECONDS_PER_EPOCH: history.typical(names.EPOCH_SECONDS),
        names.IMAGES_PER_SECOND: history.typical(names.IMAGES_PER_SECOND),
        names.TOTAL_SECONDS: sum(record[names.EPOCH_SECONDS] for record in history.epochs),
    }
    if history.objective.keeps_last_epoch:
        metrics |= mae_interval(names.LAST_VAL_MAE, kept["val"].absolute_errors)
    return metrics


def part_metrics(name: str, measured: Measured, train_labels: np.ndarray) -> dict[str, float]:
    """Returns errors of a part, such as `val/rmse`, and of the mean and median predictors."""
    labels = measured.part.labels
    metrics = regression_metrics(labels, measured.predictions)
    metrics |= baseline_metrics(train_labels, labels)
    return {f"{name}/{key}": value for key, value in metrics.items()}


def scalar_names(config: Config) -> set[str]:
    """Returns the names of the scalars that a trial of this configuration logs at its end."""
    two = Measured(Part(pd.DataFrame(), np.zeros(2), np.empty(0)), np.zeros(2))
    parts, labels = {"train": two, "val": two}, two.part.labels
    history = History("", (defaultdict(float),), objective_of(config.study))
    tested = part_metrics("test", two, labels) if config.fit.evaluate_test else {}
    final = final_metrics(history, parts, parts, labels)
    return {*final, *tested, names.PEAK_MEMORY, names.TRIAL_SECONDS}


def mae_interval(metric: str, absolute_errors: np.ndarray) -> dict[str, float]:
    """Returns the 95 % interval of an MAE under the names of its ends."""
    low, high = mean_interval(absolute_errors)
    return {names.low(metric): max(low, 0.0), names.high(metric): high}
