import math

import pytest

from src.analysis.references import is_reference, read_reference
from src.config import flatten
from src.core import names
from src.core.errors import MissingFileError


@pytest.mark.parametrize("number", [1, 2, 3])
def test_trials_of_the_seed_study_have_the_values_of_their_configurations(
    compose_config, number: int
) -> None:
    config = flatten(compose_config(f"+trial={number}", "data=sample"))
    reference = read_reference("seed_recorded")
    trial = reference.trials[number - 1]
    assert {key: str(config[key]) for key in trial.params} == trial.params
    assert len(reference.epochs[number]) == 20


def test_best_and_last_epochs_are_the_recorded_ones() -> None:
    trials = read_reference("seed_recorded").trials
    best = [trial.metrics[names.BEST_VAL_MAE] for trial in trials]
    assert [round(value, 4) for value in best] == [7.0227, 7.0901, 5.9787]
    assert [trial.metrics[names.LAST_VAL_MAE] for trial in trials] == [7.2075, 7.0964, 6.2863]


def test_intervals_follow_from_squared_and_absolute_errors() -> None:
    """Variance of |error| is MSE − MAE²; over 1,897 faces that gives about ±0.24 for trial 3."""
    reference = read_reference("seed_recorded")
    metrics, epochs = reference.trials[2].metrics, reference.epochs[3]
    best = epochs.loc[epochs["mae/val"].idxmin()]
    expected = 1.959964 * math.sqrt((best["loss/val"] - best["mae/val"] ** 2) / 1896)
    ends = metrics["best/val_mae_high"], metrics["best/val_mae_low"]
    assert (ends[0] - ends[1]) / 2 == pytest.approx(expected, rel=1e-5)
    assert expected == pytest.approx(0.24, abs=0.01)


def test_comment_lines_are_the_caveat() -> None:
    assert read_reference("seed_recorded").caveat.startswith("Recorded elsewhere: training errors")
    assert read_reference("seed_recorded").caveat.endswith("(37 s an epoch instead of 92).")


def test_missing_table_is_explained() -> None:
    assert not is_reference("nowhere")
    with pytest.raises(MissingFileError, match=r"study\.reference=nowhere"):
        read_reference("nowhere")
