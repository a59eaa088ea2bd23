"""The seed study as it was recorded, made a finished study of the store.

`seed_training_log.csv` holds what its three trials printed: 60 epochs, trial 1 to 3, with steps,
seconds on its GPU, MSE (`loss`, squared years) and MAE (years) on training and validation faces.
Training figures are Keras's running means, with dropout and augmentation on. Source: the training
log of the public notebook that `conf/trial/*.yaml` reproduce. What its trials varied stands there,
too.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from src.config import Config, flatten
from src.core.metrics import baseline_metrics
from src.data.sample import AGE_COUNTS
from src.statistics.intervals import normal_quantile
from src.tracking import Run, State
from src.tracking.study import open_study

NAME = "seed_recorded"
NUM_TRAIN, NUM_VAL = 5694, 1897  # Keras's validation_split=0.25 of 7,591 rows
CAVEAT = (
    "Recorded elsewhere: training errors are running means with dropout and augmentation on, so "
    "gaps are not comparable with those of other studies, nor quite with each other. That trial 3 "
    "had no heavy augmentation is inferred from its log (37 s an epoch instead of 92)."
)
_LOG = Path(__file__).parent / "seed_training_log.csv"


@dataclass(frozen=True)
class SeedTrial:
    """A recorded trial in its best epoch.

    Attributes:
        number: 1 to 3.
        params: What `conf/trial/<number>.yaml` sets that is varied most.
        epochs: Its log.
    """

    number: int
    params: Mapping[str, str]
    epochs: pd.DataFrame

    @property
    def best_epoch(self) -> int:
        """With the lowest validation MAE."""
        return int(self._best["epoch"])

    @property
    def best_val_mae(self) -> float:
        """Years."""
        return float(self._best["val_mae"])

    @property
    def train_mae(self) -> float:
        """In the best epoch, years, as Keras printed it."""
        return float(self._best["mae"])

    @property
    def low(self) -> float:
        """Lower end of the validation MAE's 95 % interval, years."""
        return self.best_val_mae - normal_quantile(0.975) * self.val_error

    @property
    def high(self) -> float:
        """Upper end of it."""
        return self.best_val_mae + normal_quantile(0.975) * self.val_error

    @property
    def val_error(self) -> float:
        """Standard error of the validation MAE, years: MSE less squared MAE is the variance."""
        return _standard_error(float(self._best["val_loss"]), self.best_val_mae, NUM_VAL)

    @property
    def gap_error(self) -> float:
        """Standard error of the gap, years."""
        train = _standard_error(float(self._best["loss"]), self.train_mae, NUM_TRAIN)
        return math.hypot(self.val_error, train)

    @property
    def seconds_per_epoch(self) -> float:
        """Median."""
        return float(self.epochs["seconds"].median())

    @property
    def _best(self) -> pd.Series:
        return self.epochs.iloc[int(self.epochs["val_mae"].to_numpy().argmin())]


@cache
def seed_trials() -> tuple[SeedTrial, ...]:
    """The three recorded trials."""
    log = pd.read_csv(_LOG)
    return tuple(
        SeedTrial(number, _VARIED[number], epochs.reset_index(drop=True))
        for number, epochs in ((int(str(key)), group) for key, group in log.groupby("trial"))
    )


_VARIED: Mapping[int, Mapping[str, str]] = {
    1: {"optimizer.learning_rate": "0.0001", "data.batch_size": "16", "model.dropout_rate": "0.0"},
    2: {"optimizer.learning_rate": "1e-05", "data.batch_size": "16", "model.dropout_rate": "0.0"},
    3: {"optimizer.learning_rate": "0.0003", "data.batch_size": "32", "model.dropout_rate": "0.2"},
}
"""As `conf/trial/*.yaml` say; a test holds them together."""


def import_seed_study(experiment: str, configs: Mapping[int, Config]) -> None:
    """Write the recorded trials into the store, unless they are there.

    Args:
        experiment: Name of MLflow's experiment; created where it is missing.
        configs: The three trials' configurations, by number.
    """
    with open_study(experiment, NAME) as store:
        known = {trial.number for trial in store.trials() if trial.state is State.COMPLETE}
        if known >= set(configs):
            return
        question = configs[1].study.question
        store.open_parent({"question": question, "caveat": CAVEAT})
        for trial in seed_trials():
            if trial.number in known:
                continue
            config = configs[trial.number]
            run_id = store.create_trial(f"trial {trial.number}", {"trial": str(trial.number)})
            run = Run(run_id, store.experiment_id, is_new=True)
            values = flatten(config)
            run.log_text(json.dumps(values, indent=2), "config.json")
            run.log_params(
                {key: value for key, value in values.items() if key.startswith(_WHAT_IT_WAS)}
                | {"log10_learning_rate": f"{math.log10(config.optimizer.learning_rate):.4f}"}
            )
            run.log_epochs([_epoch(row) for row in trial.epochs.to_dict("records")])
            run.log_final(_final(trial))
            store.finish(run_id)
        store.close_parent("FINISHED", State.COMPLETE)


_WHAT_IT_WAS = ("model.", "optimizer.", "augmentation.", "schedule.", "data.batch_size",
                "data.image_size", "fit.epochs")  # fmt: skip


def _epoch(row: Mapping[object, float]) -> dict[str, float]:
    return {
        "epoch": row["epoch"],
        "mae/train": row["mae"],
        "mae/val": row["val_mae"],
        "mae/gap": row["val_mae"] - row["mae"],
        "loss/train": row["loss"],
        "loss/val": row["val_loss"],
        "time/epoch_seconds": row["seconds"],
    }


def _final(trial: SeedTrial) -> dict[str, float]:
    last = trial.epochs.iloc[-1]
    gap, half = trial.best_val_mae - trial.train_mae, normal_quantile(0.975) * trial.gap_error
    mean_mae, median_mae = _without_a_model()
    return {
        "best/val_mae": trial.best_val_mae,
        "best/val_mae_low": trial.low,
        "best/val_mae_high": trial.high,
        "best/train_mae": trial.train_mae,
        "best/gap": gap,
        "best/gap_low": gap - half,
        "best/gap_high": gap + half,
        "best/epoch": trial.best_epoch,
        "last/val_mae": float(last["val_mae"]),
        "last/train_mae": float(last["mae"]),
        "last/gap": float(last["val_mae"] - last["mae"]),
        "val/mean_predictor_mae": mean_mae,
        "val/median_predictor_mae": median_mae,
        "time/seconds_per_epoch": trial.seconds_per_epoch,
        "time/trial_seconds": float(trial.epochs["seconds"].sum()),
    }


def _without_a_model() -> tuple[float, float]:
    """MAE of always guessing the mean, and the median, of all 7,591 ages, years."""
    counts = pd.read_csv(AGE_COUNTS)
    ages = np.repeat(counts["age"].to_numpy(float), counts["count"].to_numpy())
    found = baseline_metrics(ages, ages)
    return found["mean_predictor_mae"], found["median_predictor_mae"]


def _standard_error(mse: float, mae: float, count: int) -> float:
    return math.sqrt((mse - mae**2) / (count - 1))
