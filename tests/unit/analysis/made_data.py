"""Studies in memory, for tests that need no store."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from src.analysis.study_data import Measured, StudyData
from src.config.study_schema import ClaimConfig, ClaimDirection, ClaimOutcome
from src.core.names import State
from src.records.terms import Terms
from src.records.trial import TrialRecord
from tests.unit.analysis.made_study import Effect, grid


def record(number: int, params: Mapping[str, str], metrics: Mapping[str, float], **changes):
    whole = {
        "run_id": f"run {number}", "number": number, "name": f"trial {number}",
        "state": State.COMPLETE, "configuration_hash": f"c{number}", "data_digest": "d",
        "tags": {}, "params": params, "metrics": metrics, "seconds": 60.0, "process": None,
    } | changes  # fmt: skip
    return TrialRecord(**whole)


def claim(
    raising: str | None = "model.dropout_rate", moves: str = "val_mae", direction: str = "down",
    at_least: float = 0.0,
) -> ClaimConfig:  # fmt: skip
    return ClaimConfig(
        "It does.", raising, ClaimOutcome(moves), ClaimDirection(direction), at_least
    )


def study_data(
    configurations: Sequence[Mapping[str, str]] | None = None,
    effect: Effect = lambda configuration: 0.0,
    num_seeds: int = 2,
    num_faces: int = 150,
    spread: float = 0.2,
    seed: int = 0,
    claims: Sequence[ClaimConfig] = (),
    with_faces: bool = True,
    terms: Terms | None = None,
) -> StudyData:
    """Trials that differ by their effects, the chance of a training, and their faces."""
    rng = np.random.default_rng(seed)
    faces = pd.DataFrame(
        {"row": range(num_faces), "file_name": "f.png", "label": rng.uniform(1, 90, num_faces)}
    )
    hard = rng.gamma(2, 3, num_faces)
    trials, predictions, train_predictions = [], [], []
    chosen = grid() if configurations is None else configurations
    for configuration in chosen:
        for replicate in range(num_seeds):
            luck = effect(configuration) + rng.normal(0, spread)
            errors = np.abs(hard + luck + rng.normal(0, 2, num_faces))
            train = np.abs(hard * 0.5 + rng.normal(0, 1, num_faces))
            metrics = {
                "best/val_mae": errors.mean(), "best/train_mae": train.mean(),
                "best/gap": errors.mean() - train.mean(), "best/epoch": 3.0,
                "best/val_mae_low": errors.mean() - 0.4, "best/val_mae_high": errors.mean() + 0.4,
                "last/val_mae": errors.mean() + 0.1, "last/train_mae": train.mean(),
                "last/gap": errors.mean() + 0.1 - train.mean(),
                "time/seconds_per_epoch": 10 + rng.normal(0, 1),
                "val/median_predictor_mae": 13.0,
            }  # fmt: skip
            params = {**configuration, "seed": str(replicate)}
            trials.append(record(len(trials) + 1, params, metrics))
            predictions.append(faces["label"].to_numpy() + errors)
            train_predictions.append(faces["label"].to_numpy() + train)
    measured = {
        "val": Measured(faces, np.array(predictions)),
        "train": Measured(faces, np.array(train_predictions)),
    }
    return StudyData(
        "made", "What?", tuple(claims), False, "1", "", "", "", tuple(trials),
        pd.DataFrame(columns=["run_id", "epoch", "mae/train", "mae/val", "time/epoch_seconds"]),
        measured if with_faces and trials else {}, terms or Terms(),
    )  # fmt: skip
