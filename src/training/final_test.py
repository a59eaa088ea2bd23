"""The final test: a trial's kept model, measured on faces that had no part in its choice."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import pandas as pd

from src.config import Config
from src.core.errors import EnvironmentFaultError, UsageError
from src.core.metrics import metrics_by_age_band
from src.data import Dataset, prepare
from src.records.trial import TrialRecord
from src.statistics import mean_interval
from src.tracking.run import Run
from src.training.measurement import Measured, measure, part_metrics


@dataclass(frozen=True)
class FinalTest:
    """What a model came to on the test part.

    Attributes:
        sizes: Faces of each part of the split.
        metrics: As in MLflow, such as `test/mae` with `test/mae_low` and `test/mae_high`.
        bands: By age band: band, n, mae, rmse, median_error, cs5, bias, mae_low, mae_high.
        predictions: One row for each face of the test part.
    """

    sizes: Mapping[str, int]
    metrics: Mapping[str, float]
    bands: pd.DataFrame
    predictions: pd.DataFrame


def prepare_test(config: Config, trial: TrialRecord) -> Dataset:
    """The faces of a trial, with its test part.

    Raises:
        UsageError: If these are not the trial's faces in the trial's parts, or none is to test on.
    """
    dataset = prepare(config.data)
    if dataset.digest != trial.data_digest:
        raise UsageError(
            f"These are not the faces of {trial.name} in the same parts, so its test part may hold "
            f"faces that it was trained on. Received: digest {dataset.digest} of "
            f"data.root={dataset.root}, where the trial has {trial.data_digest}. "
            "Fix: the folder as it was then; ROOT=<folder> if it has another place now"
        )
    if len(dataset.part("test")) == 0:
        split = config.data.split
        raise UsageError(
            "The test part of the split is empty, so nothing is left to test on. Received: "
            f"data.split.method={split.method} data.split.test_fraction={split.test_fraction:g} on "
            f"{len(dataset.faces)} faces. Fix: a study with data.split.method=stratified "
            "data.split.test_fraction=0.2, or with an official split that has a test part"
        )
    return dataset


def refuse_another_model(
    regressor: keras.Model, dataset: Dataset, trial: TrialRecord, batch_size: int
) -> None:
    """Check on the validation part, before the test part is spent, that this is the trial's model.

    Raises:
        RuntimeError: If its validation error is not the recorded one; another processor's last
            digits are forgiven.
    """
    recorded = trial.metrics["best/val_mae"]
    measured = measure(regressor, dataset.part("val"), batch_size).mae
    if not math.isclose(measured, recorded, rel_tol=0.01, abs_tol=0.05):
        raise EnvironmentFaultError(
            f"The kept model is not what {trial.name} recorded; the test part was left alone. "
            f"Received: validation MAE {measured:.4f}, recorded {recorded:.4f} years. "
            "Fix: run the trial again with tracking.keep_model=all"
        )


def take_test(
    regressor: keras.Model, dataset: Dataset, train_mae: float, batch_size: int
) -> FinalTest:
    """Measure a model on the test part, in inference mode on unchanged pictures.

    Args:
        regressor: The trial's kept model.
        dataset: See `prepare_test`.
        train_mae: Of the same model on the measured training faces, years.
        batch_size: Faces a step; moves no number.
    """
    measured = measure(regressor, dataset.part("test"), batch_size)
    low, high = mean_interval(measured.absolute_errors)
    metrics = {
        **part_metrics("test", measured, dataset.part("train").ages),
        "test/mae_low": max(low, 0.0),
        "test/mae_high": high,
        "test/gap": measured.mae - train_mae,
    }
    sizes = {name: len(dataset.part(name)) for name in ("train", "val", "test")}
    return FinalTest(sizes, metrics, by_age_band(measured), measured.table())


def by_age_band(measured: Measured) -> pd.DataFrame:
    """Errors within each age band, with the 95 % interval of the band's MAE."""
    ages = measured.part.ages
    rows = []
    for row in metrics_by_age_band(ages, measured.predictions):
        first, last = map(int, str(row["band"]).split("-"))
        low, high = mean_interval(measured.absolute_errors[(ages >= first) & (ages < last + 1)])
        rows.append({**row, "mae_low": max(low, 0.0), "mae_high": high})
    return pd.DataFrame(rows)


def log_test(run: Run, test: FinalTest, card: str) -> None:
    """Keep it with the trial's run; of a repeated test the last is kept."""
    run.log_table(test.predictions, "predictions/test.parquet")
    run.log_table(test.bands, "metrics/test_by_age_band.csv")
    run.log_text(card, "model_card.md")
    run.log_final(test.metrics)
