"""Studies written into the store without training."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from src.core.names import State
from src.tracking import Run
from src.tracking.study import StudyStore, open_study

EXPERIMENT = "face-age"
GRID = {
    "optimizer.learning_rate": ("1e-05", "0.0001", "0.0003"),
    "data.batch_size": ("16", "32"),
    "model.dropout_rate": ("0.0", "0.2"),
}

Effect = Callable[[Mapping[str, str]], float]
"""Error that a configuration adds to that of every validation face."""


def grid(values: Mapping[str, Sequence[str]] = GRID) -> list[dict[str, str]]:
    return [
        dict(zip(values, combination, strict=True))
        for combination in itertools.product(*values.values())
    ]


def make_study(
    name: str,
    configurations: Sequence[Mapping[str, str]],
    effect: Effect = lambda configuration: 0.0,
    num_seeds: int = 2,
    num_faces: int = 120,
    num_epochs: int = 5,
    spread: float = 0.1,
    seed: int = 0,
    with_predictions: bool = True,
) -> None:
    """A finished study whose trials differ by their effects, chance and faces."""
    rng = np.random.default_rng(seed)
    ages = np.sort(rng.uniform(1, 90, num_faces)).round()
    hard = rng.gamma(2, 3, num_faces)
    with open_study(EXPERIMENT, name) as store:
        store.open_parent({"question": "What does it do?", "command": "python -m src.train -m"})
        trials = itertools.product(configurations, range(num_seeds))
        for number, (configuration, replicate) in enumerate(trials, start=1):
            luck = effect(configuration) + rng.normal(0, spread)
            errors = np.abs(hard + luck + rng.normal(0, 1.5, num_faces))
            sign = np.where(ages < 45, 1, -1)  # drawn to the mean
            val = pd.DataFrame({"row": range(num_faces), "file_name": "f.png", "age": ages,
                                "prediction": ages + sign * errors})  # fmt: skip
            train = val.assign(prediction=ages + sign * errors * 0.6)
            add_trial(
                store, number, {**configuration, "seed": str(replicate)},
                {"val": val, "train": train}, num_epochs, with_predictions,
            )  # fmt: skip
        store.close_parent("FINISHED", State.COMPLETE)


def add_trial(
    store: StudyStore,
    number: int,
    params: Mapping[str, str],
    parts: Mapping[str, pd.DataFrame],
    num_epochs: int,
    with_predictions: bool = True,
    state: State = State.COMPLETE,
    tags: Mapping[str, str] | None = None,
    label: str = "age",
) -> str:
    """One trial, its best epoch the last but one."""
    mae = {part: float((t["prediction"] - t[label]).abs().mean()) for part, t in parts.items()}
    found = {"trial": str(number), "data_digest": "d", "configuration_hash": f"c{number}"}
    run_id = store.create_trial(f"trial {number}", found | dict(tags or {}))
    run = Run(run_id, store.experiment_id, is_new=True)
    run.log_params(params)
    epochs = range(1, num_epochs + 1)
    run.log_epochs(
        [
            {"epoch": epoch, "mae/val": mae["val"] + 0.1 * abs(epoch - num_epochs + 1),
             "mae/train": mae["train"] + 0.2 * (num_epochs - 1 - epoch),
             "time/epoch_seconds": 10 + epoch % 2}
            for epoch in epochs
        ]
    )  # fmt: skip
    if state is State.COMPLETE:
        run.log_final(
            {"best/val_mae": mae["val"], "best/train_mae": mae["train"],
             "best/gap": mae["val"] - mae["train"], "best/epoch": max(num_epochs - 1, 1),
             "last/val_mae": mae["val"],
             "val/median_predictor_mae": 13.1, "val/mean_predictor_mae": 13.3,
             "time/seconds_per_epoch": 10.0 + number % 2, "time/trial_seconds": 60.0}
        )  # fmt: skip
        if with_predictions:
            for part, table in parts.items():
                run.log_table(table, f"predictions/{part}.parquet")
        store.finish(run_id)
    else:
        store.set_tags(run_id, {"state": state})
    return run_id
