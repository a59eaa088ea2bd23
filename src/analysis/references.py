"""Results that were recorded elsewhere, as tables that studies name with `study.reference`.

`conf/study/<name>.csv` opens with comment lines (`# …`): a caveat for the reader of a report. It
has one row for each epoch of each trial:

| column | meaning |
|---|---|
| `trial`, `epoch` | numbers from 1 |
| `mae/train`, `mae/val` | mean absolute errors, in the unit of the target |
| `loss/train`, `loss/val` | mean squared errors, from which the intervals follow |
| `time/epoch_seconds` | duration |
| `num_train`, `num_val` | labels that the errors are means of |
| `val/mean_predictor_mae`, `val/median_predictor_mae` | MAE of always predicting the mean, median |
| any name with a dot | a hyperparameter under its key, the same in all epochs of a trial |
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pandas as pd

from src.config import Config, flatten
from src.core import names
from src.core.errors import MissingFileError
from src.core.names import State
from src.records.trial import TrialRecord
from src.statistics.intervals import Z_95
from src.tracking.run import Run
from src.tracking.study import open_study

_FOLDER = Path(__file__).parents[2] / "conf/study"
_EPOCH_KEYS = [names.EPOCH, names.TRAIN_LOSS, names.TRAIN_MAE, names.VAL_LOSS, names.VAL_MAE,
               names.EPOCH_SECONDS]  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """Results that were recorded elsewhere.

    Attributes:
        name: File name without suffix.
        caveat: Limits of the comparison.
        trials: By number, with the final metrics that follow from their epochs.
        epochs: Epochs of each trial, by its number.
    """

    name: str
    caveat: str
    trials: tuple[TrialRecord, ...]
    epochs: Mapping[int, pd.DataFrame]


def is_reference(name: str) -> bool:
    """Returns whether there is a table of this name."""
    return (_FOLDER / f"{name}.csv").is_file()


def read_reference(name: str) -> Reference:
    """Returns the results of a table.

    Raises:
        MissingFileError: If there is no such table.
    """
    file = _FOLDER / f"{name}.csv"
    if not file.is_file():
        raise MissingFileError(
            "There is no such table of recorded results. "
            f"Received: study.reference={name}. Fix: write {file}, or study.reference=null"
        )
    lines = file.read_text(encoding="utf-8").splitlines()
    caveat = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    table = pd.read_csv(file, comment="#", dtype=str)
    keys = [name for name in map(str, table) if "." in name]
    epochs: dict[int, pd.DataFrame] = {}
    trials = []
    for key, rows in table.groupby(table["trial"].astype(int)):
        number = int(str(key))
        epochs[number] = rows.drop(columns=keys).astype(float).reset_index(drop=True)
        metrics = _final(epochs[number])
        trials.append(
            TrialRecord(
                run_id=f"{name} {number}", number=number, name=f"trial {number}",
                state=State.COMPLETE, configuration_hash="", data_digest="", tags={},
                params=dict(rows.iloc[0][keys]), metrics=metrics,
                seconds=metrics[names.TRIAL_SECONDS], process=None,
            )
        )  # fmt: skip
    return Reference(name, caveat, tuple(trials), epochs)


def import_reference(experiment: str, name: str, configs: Mapping[int, Config]) -> None:
    """Writes the trials of a table as a study into the store, unless they are there.

    Args:
        experiment: Name of MLflow's experiment; created where it is missing.
        name: Name of the table and of the study.
        configs: Configuration of each trial, by number.
    """
    reference = read_reference(name)
    with open_study(experiment, name) as store:
        known = {trial.number for trial in store.trials() if trial.state is State.COMPLETE}
        missing = [trial for trial in reference.trials if trial.number not in known]
        if not missing:
            return
        question = next(iter(configs.values())).study.question
        store.open_parent({names.QUESTION: question, names.CAVEAT: reference.caveat})
        for trial in missing:
            number = trial.number or 0
            config = configs[number]
            run_id = store.create_trial(trial.name, {names.TRIAL: str(number)})
            run = Run(run_id, store.experiment_id, is_new=True)
            run.log_text(json.dumps(flatten(config), indent=2), names.CONFIG_FILE)
            exponent = f"{math.log10(config.optimizer.learning_rate):.4f}"
            run.log_params({**trial.params, names.LOG10_LEARNING_RATE: exponent})
            epochs = reference.epochs[number]
            gaps = epochs[names.VAL_MAE] - epochs[names.TRAIN_MAE]
            kept = epochs[_EPOCH_KEYS].assign(**{names.GAP: gaps})
            run.log_epochs(cast(list[dict[str, float]], kept.to_dict("records")))
            run.log_final(trial.metrics)
            store.finish(run_id)
        store.close_parent("FINISHED", State.COMPLETE)


def _final(epochs: pd.DataFrame) -> dict[str, float]:
    """Returns the final metrics that a trial with these epochs would have logged."""
    best, last = epochs.iloc[int(epochs[names.VAL_MAE].to_numpy().argmin())], epochs.iloc[-1]
    val, train = float(best[names.VAL_MAE]), float(best[names.TRAIN_MAE])
    val_error = _standard_error(best[names.VAL_LOSS], val, best[names.NUM_VAL])
    train_error = _standard_error(best[names.TRAIN_LOSS], train, best[names.NUM_TRAIN])
    gap, half = val - train, Z_95 * math.hypot(val_error, train_error)
    return {
        names.BEST_VAL_MAE: val,
        names.low(names.BEST_VAL_MAE): val - Z_95 * val_error,
        names.high(names.BEST_VAL_MAE): val + Z_95 * val_error,
        names.BEST_TRAIN_MAE: train,
        names.BEST_GAP: gap,
        names.low(names.BEST_GAP): gap - half,
        names.high(names.BEST_GAP): gap + half,
        names.BEST_EPOCH: float(best[names.EPOCH]),
        names.LAST_VAL_MAE: float(last[names.VAL_MAE]),
        names.LAST_TRAIN_MAE: float(last[names.TRAIN_MAE]),
        names.LAST_GAP: float(last[names.VAL_MAE] - last[names.TRAIN_MAE]),
        names.MEAN_PREDICTOR_MAE: float(last[names.MEAN_PREDICTOR_MAE]),
        names.MEDIAN_PREDICTOR_MAE: float(last[names.MEDIAN_PREDICTOR_MAE]),
        names.SECONDS_PER_EPOCH: float(epochs[names.EPOCH_SECONDS].median()),
        names.TRIAL_SECONDS: float(epochs[names.EPOCH_SECONDS].sum()),
    }


def _standard_error(mse: float, mae: float, count: float) -> float:
    """Returns the standard error of a MAE: the variance of |error| is MSE − MAE²."""
    return math.sqrt((mse - mae**2) / (count - 1))
