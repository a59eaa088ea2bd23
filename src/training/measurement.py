"""Errors after an epoch and at the end, always in inference mode on unchanged pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import keras
import numpy as np
import pandas as pd

from src.config import Config
from src.core.metrics import baseline_metrics, mean_absolute_error, regression_metrics
from src.core.signals import whole_step
from src.data import Part
from src.statistics import difference_interval, mean_interval
from src.training.history import EpochRecord, History

Faces = TypeVar("Faces", bound=Part)


@dataclass(frozen=True)
class Measured:
    """A part of the data with the model's predictions for it.

    Attributes:
        part: The faces.
        predictions: Ages in years, shape `(n,)`.
    """

    part: Part
    predictions: np.ndarray

    @property
    def mae(self) -> float:
        """Mean absolute error, years."""
        return mean_absolute_error(self.part.ages, self.predictions)

    @property
    def absolute_errors(self) -> np.ndarray:
        """|prediction − age| of each face, years, shape `(n,)`."""
        return np.abs(self.predictions - self.part.ages)

    def table(self) -> pd.DataFrame:
        """One row for each face: row, file_name, age and prediction in years."""
        return self.part.faces[["row", "file_name", "age"]].assign(prediction=self.predictions)


def measured_training_faces(config: Config, train: Faces) -> Faces:
    """The training faces that are measured, the same ones in every trial of a study."""
    return train.subset(config.fit.train_eval_limit, config.data.split.seed)


def measure(regressor: keras.Model, part: Part, batch_size: int) -> Measured:
    """Predict the ages of a part, in order, from unchanged pictures or their activations.

    All batches have one size, the last face repeated, because each size would be traced anew.
    Keras's `predict` is left out: it makes a TensorFlow iterator for each call, with the trouble
    that `EpochBatches.dataset` tells of.
    """
    predictions = []
    for start in range(0, len(part), batch_size):
        places = np.minimum(np.arange(start, start + batch_size), len(part) - 1)
        predictions.append(predict(regressor, part.inputs(places))[:, 0])
    return Measured(part, np.concatenate(predictions)[: len(part)].astype(np.float32))


def predict(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """What a model makes of a batch."""
    with whole_step():
        outputs: np.ndarray = model.predict_on_batch(inputs)
    return outputs


def epoch_metrics(measured: Mapping[str, Measured], loss: str) -> EpochRecord:
    """MAE and loss on training and validation faces, and the generalisation gap.

    Both are in inference mode, without dropout and augmentation; what the optimizer saw is
    another number.
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
    """As `epoch_metrics`, of several models at once.

    Args:
        parts: The faces, by `train` and `val`.
        predictions: Ages in years, by the same, shape `(models, n)`.
        loss: Keras's name of it.

    Returns:
        A record for each model.
    """
    metrics: dict[str, np.ndarray] = {}
    for name, part in parts.items():
        ages = np.broadcast_to(part.ages, predictions[name].shape)
        metrics[f"mae/{name}"] = np.abs(
            np.subtract(predictions[name], ages, dtype=np.float64)
        ).mean(axis=1)
        losses = keras.losses.get(loss)(ages, predictions[name])
        metrics[f"loss/{name}"] = keras.ops.convert_to_numpy(losses)
    metrics["mae/gap"] = metrics["mae/val"] - metrics["mae/train"]
    return [
        {key: float(values[place]) for key, values in metrics.items()}
        for place in range(len(metrics["mae/gap"]))
    ]


def final_metrics(
    history: History, train: Measured, val: Measured, train_ages: np.ndarray
) -> dict[str, float]:
    """The trial's scalars: best and last epoch, the best epoch's errors in detail.

    Args:
        history: All epochs.
        train: The measured training faces as the best epoch predicts them.
        val: Validation faces as the best epoch predicts them.
        train_ages: All training ages, for the mean and median predictors.
    """
    best, last = history.epochs[history.best_epoch - 1], history.epochs[-1]
    low, high = mean_interval(val.absolute_errors)
    gap_low, gap_high = difference_interval(val.absolute_errors, train.absolute_errors)
    return {
        "best/val_mae": best["mae/val"],
        "best/val_mae_low": max(low, 0.0),
        "best/val_mae_high": high,
        "best/train_mae": best["mae/train"],
        "best/gap": best["mae/gap"],
        "best/gap_low": gap_low,
        "best/gap_high": gap_high,
        "best/epoch": history.best_epoch,
        "last/val_mae": last["mae/val"],
        "last/train_mae": last["mae/train"],
        "last/gap": last["mae/gap"],
        **part_metrics("val", val, train_ages),
        "time/seconds_per_epoch": history.typical("time/epoch_seconds"),
        "time/images_per_second": history.typical("time/images_per_second"),
        "time/total_seconds": sum(record["time/epoch_seconds"] for record in history.epochs),
    }


def part_metrics(name: str, measured: Measured, train_ages: np.ndarray) -> dict[str, float]:
    """Errors of a part, such as `val/rmse`, beside those of the mean and median predictors."""
    ages = measured.part.ages
    metrics = regression_metrics(ages, measured.predictions) | baseline_metrics(train_ages, ages)
    return {f"{name}/{key}": value for key, value in metrics.items()}
