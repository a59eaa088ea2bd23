import math

import pytest

from src.analysis.recorded import seed_trials
from src.config import flatten


@pytest.mark.parametrize("number", [1, 2, 3])
def test_trials_are_those_of_the_configuration(compose_config, number: int) -> None:
    config = flatten(compose_config(f"+trial={number}", "data=sample"))
    trial = seed_trials()[number - 1]
    assert {key: str(config[key]) for key in trial.params} == trial.params
    assert len(trial.epochs) == 20


def test_best_epochs_are_the_recorded_ones() -> None:
    assert [round(trial.best_val_mae, 4) for trial in seed_trials()] == [7.0227, 7.0901, 5.9787]
    assert [trial.epochs["val_mae"].iloc[-1] for trial in seed_trials()] == [7.2075, 7.0964, 6.2863]


def test_intervals_follow_from_squared_and_absolute_errors() -> None:
    """Variance of |error| is MSE − MAE²; over 1,897 faces that gives about ±0.24 for trial 3."""
    trial = seed_trials()[2]
    best = trial.epochs.loc[trial.epochs["val_mae"].idxmin()]
    expected = 1.959964 * math.sqrt((best["val_loss"] - best["val_mae"] ** 2) / 1896)
    assert (trial.high - trial.low) / 2 == pytest.approx(expected, rel=1e-5)
    assert expected == pytest.approx(0.24, abs=0.01)
