"""The final test: a trial's stored model, measured on faces that had no part in its choice."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from src.config import Config, TargetConfig
from src.core import names
from src.core.errors import EnvironmentFaultError, UsageError
from src.core.metrics import band_of, metrics_by_band
from src.data import Dataset, prepare
from src.data.splits import PARTS
from src.evaluation.choice import stored_epoch
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.tracking.run import Run
from src.training.measurement import mae_interval, measure, part_metrics


@dataclass(frozen=True)
class FinalTest:
    """Errors of a model on the test part.

    Attributes:
        sizes: Number of faces of each part of the split.
        metrics: As in MLflow, such as `test/mae` with `test/mae_low` and `test/mae_high`.
        bands: By band of the target: band, n, mae, rmse, median_error, cs5, bias, mae_low,
            mae_high.
        predictions: One row for each face of the test part.
    """

    sizes: Mapping[str, int]
    metrics: Mapping[str, float]
    bands: pd.DataFrame
    predictions: pd.DataFrame


def prepare_test(config: Config, trial: TrialRecord) -> Dataset:
    """Returns the faces of a trial.

    Raises:
        UsageError: If these are not the trial's faces in the trial's parts, or there is no test
            part.
    """
    dataset = prepare(config.data, config.target)
    if dataset.digest != trial.data_digest:
        raise UsageError(
            f"These are not the faces of {trial.name} in the same parts. Received: "
            f"digest {dataset.digest} of data.root={dataset.root}, the trial's is "
            f"{trial.data_digest}. Fix: the unchanged folder; ROOT=<folder> if it was moved"
        )
    if len(dataset.part("test")) == 0:
        split = config.data.split
        raise UsageError(
            f"The test part is empty. Received: data.split.method={split.method} "
            f"data.split.test_fraction={split.test_fraction:g} on {len(dataset.faces)} faces. "
            "Fix: a study with data.split.method=stratified data.split.test_fraction=0.2"
        )
    return dataset


def refuse_another_model(
    regressor: Any, dataset: Dataset, trial: TrialRecord, config: Config, terms: Terms
) -> None:
    """Checks on the validation part, before the test part is used, that this is the trial's model.

    Raises:
        EnvironmentFaultError: If its validation error is not the recorded one, apart from
            differences in rounding between processors.
    """
    recorded = trial.metrics[stored_epoch(terms.objective)[0]]
    measured = measure(regressor, dataset.part("val"), config.fit.eval_batch_size).mae
    if not math.isclose(measured, recorded, rel_tol=0.01, abs_tol=0.05):
        raise EnvironmentFaultError(
            f"The stored model is not the model of {trial.name}; the test part was not evaluated. "
            f"Received: validation MAE {measured:.4f}, recorded {recorded:.4f} "
            f"{terms.target.unit}. Fix: run the trial again with tracking.keep_model=all"
        )


def take_test(
    regressor: Any, dataset: Dataset, trial: TrialRecord, config: Config, terms: Terms
) -> FinalTest:
    """Returns the errors of a model on the test part, in inference mode without augmentation.

    Args:
        regressor: The trial's stored model.
        dataset: See `prepare_test`.
        trial: Its record.
        config: Its configuration.
        terms: Target and objective of its study.
    """
    measured = measure(regressor, dataset.part("test"), config.fit.eval_batch_size)
    errors = measured.absolute_errors
    _, train_mae, _ = stored_epoch(terms.objective)
    metrics = {
        **part_metrics("test", measured, dataset.part("train").labels),
        **mae_interval(names.TEST_MAE, errors),
        names.TEST_GAP: measured.mae - trial.metrics[train_mae],
    }
    labels, target = measured.part.labels, terms.target
    rows = metrics_by_band(labels, measured.predictions, target.bands)
    index = band_of(labels, target.bands)
    for row, band in zip(rows, np.unique(index[index >= 0]), strict=True):
        row |= mae_interval("mae", errors[index == band])
    sizes = {name: len(dataset.part(name)) for name in PARTS}
    return FinalTest(sizes, metrics, pd.DataFrame(rows), measured.table(target.column))


def log_test(run: Run, test: FinalTest, target: TargetConfig, card: str) -> None:
    """Stores a test with the trial's run; a repeated test replaces the one before."""
    run.log_table(test.predictions, names.predictions_file("test"))
    run.log_table(test.bands, names.bands_file("test", target.column))
    run.log_text(card, names.MODEL_CARD_FILE)
    run.log_final(test.metrics)
