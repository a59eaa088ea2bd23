"""Final test: a trial's kept model, measured on faces that were not used to choose it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from src.config import Config, TargetConfig, objective_of
from src.core import names
from src.core.errors import EnvironmentFaultError, UsageError
from src.core.metrics import band_of, metrics_by_band
from src.data import Dataset, prepare
from src.data.splits import PARTS
from src.records.trial import TrialRecord
from src.statistics import mean_interval
from src.tracking.run import Run
from src.training.measurement import Measured, measure, part_metrics


@dataclass(frozen=True)
class FinalTest:
    """Results of a model on the test part.

    Attributes:
        sizes: Faces of each part of the split.
        metrics: As in MLflow, such as `test/mae` with `test/mae_low` and `test/mae_high`.
        bands: A row for each band: band, n, mae, rmse, median_error, cs5, bias, mae_low, mae_high.
        predictions: A row for each face of the test part.
    """

    sizes: Mapping[str, int]
    metrics: Mapping[str, float]
    bands: pd.DataFrame
    predictions: pd.DataFrame


def prepare_test(config: Config, trial: TrialRecord) -> Dataset:
    """Returns the faces of a trial, with its test part.

    Raises:
        UsageError: If these are not the trial's faces in the trial's parts, or the test part is
            empty.
    """
    dataset = prepare(config.data, config.target)
    if dataset.digest != trial.data_digest:
        raise UsageError(
            f"These are not the faces of {trial.name} in the same parts, so its test part may hold "
            f"faces that it was trained on. Received: digest {dataset.digest} of "
            f"data.root={dataset.root}, where the trial has {trial.data_digest}. "
            "Fix: the folder as it was then, or ROOT=<folder> if it was moved"
        )
    if len(dataset.part("test")) == 0:
        split = config.data.split
        raise UsageError(
            "The test part of the split is empty. Received: "
            f"data.split.method={split.method} data.split.test_fraction={split.test_fraction:g} on "
            f"{len(dataset.faces)} faces. Fix: a study with data.split.method=stratified "
            "data.split.test_fraction=0.2, or with an official split that has a test part"
        )
    return dataset


def refuse_another_model(
    regressor: keras.Model, dataset: Dataset, trial: TrialRecord, config: Config
) -> None:
    """Checks on the validation part, before the test part is used, that this is the trial's model.

    Raises:
        EnvironmentFaultError: If its validation error is not the recorded one; differences in the
            last digits, as of another processor, are accepted.
    """
    _, recorded = kept_errors(trial, config)
    measured = measure(regressor, dataset.part("val"), config.fit.eval_batch_size).mae
    if not math.isclose(measured, recorded, rel_tol=0.01, abs_tol=0.05):
        raise EnvironmentFaultError(
            f"The kept model is not the one that {trial.name} recorded; the test part was not "
            f"used. Received: validation MAE {measured:.4f}, recorded {recorded:.4f} "
            f"{config.target.unit}. Fix: run the trial again with tracking.keep_model=all"
        )


def take_test(
    regressor: keras.Model, dataset: Dataset, trial: TrialRecord, config: Config
) -> FinalTest:
    """Measures a model on the test part, in inference mode on pictures without augmentation.

    Args:
        regressor: The trial's kept model.
        dataset: See `prepare_test`.
        trial: The trial.
        config: Its configuration.
    """
    train_mae, _ = kept_errors(trial, config)
    measured = measure(regressor, dataset.part("test"), config.fit.eval_batch_size)
    low, high = mean_interval(measured.absolute_errors)
    metrics = {
        **part_metrics("test", measured, dataset.part("train").labels),
        names.low(names.TEST_MAE): max(low, 0.0),
        names.high(names.TEST_MAE): high,
        names.TEST_GAP: measured.mae - train_mae,
    }
    sizes = {name: len(dataset.part(name)) for name in PARTS}
    table = measured.table(dataset.target.column)
    return FinalTest(sizes, metrics, by_band(measured, dataset.target), table)


def kept_errors(trial: TrialRecord, config: Config) -> tuple[float, float]:
    """Returns the training and the validation MAE of the epoch whose weights were kept."""
    if objective_of(config.study).keeps_last_epoch:
        return trial.metrics[names.LAST_TRAIN_MAE], trial.metrics[names.LAST_VAL_MAE]
    return trial.metrics[names.BEST_TRAIN_MAE], trial.metrics[names.BEST_VAL_MAE]


def by_band(measured: Measured, target: TargetConfig) -> pd.DataFrame:
    """Returns the errors of each band, with the 95 % interval of the band's MAE."""
    labels = measured.part.labels
    rows = metrics_by_band(labels, measured.predictions, target.bands)
    index = band_of(labels, target.bands)
    for row, number in zip(rows, np.unique(index[index >= 0]), strict=True):
        low, high = mean_interval(measured.absolute_errors[index == number])
        row |= {"mae_low": max(low, 0.0), "mae_high": high}
    return pd.DataFrame(rows)


def log_test(run: Run, test: FinalTest, card: str, target: TargetConfig) -> None:
    """Logs a test to the trial's run; a repeated test replaces the last one.

    Args:
        run: The trial's run.
        test: The results.
        card: See `model_card.model_card`.
        target: The predicted quantity.
    """
    run.log_table(test.predictions, names.predictions_file("test"))
    run.log_table(test.bands, names.bands_file("test", target.column))
    run.log_text(card, names.MODEL_CARD_FILE)
    run.log_final(test.metrics)
