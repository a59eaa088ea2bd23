import math
import re
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from src.config import Config, Objective, TargetConfig
from src.core.names import State
from src.evaluation.choice import Choice
from src.evaluation.final_test import FinalTest
from src.evaluation.model_card import model_card
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.tracking.test_access import Evaluation

EVALUATION = Evaluation("2026-11-02 12:00:03", "trial 5", "r5")
TRIAL = TrialRecord(
    run_id="r5", number=5, name="trial 5", state=State.COMPLETE, configuration_hash="c",
    data_digest="d1g35t", tags={"mlflow.source.git.commit": "0123456789abcdef"}, params={},
    metrics={"best/val_mae": 7.826, "best/val_mae_low": 6.94, "best/val_mae_high": 8.73,
             "best/train_mae": 7.626, "best/gap": 0.2, "best/epoch": 5},
    seconds=1.0, process=None,
)  # fmt: skip
TEST = FinalTest(
    sizes={"train": 1500, "val": 240, "test": 34},
    metrics={"test/mae": 8.125, "test/mae_low": 7.0, "test/mae_high": 9.25, "test/rmse": 10.5,
             "test/median_error": 6.5, "test/cs5": 0.41, "test/bias": -0.75, "test/gap": 0.499,
             "test/mean_predictor_mae": 13.1, "test/median_predictor_mae": 12.9},
    bands=pd.DataFrame(
        [{"band": "0-4", "n": 1, "mae": 12.5, "mae_low": math.nan, "mae_high": math.nan,
          "bias": 12.5},
         {"band": "20-29", "n": 33, "mae": 8.0, "mae_low": 6.0, "mae_high": 10.0, "bias": -1.15}]
    ),
    predictions=pd.DataFrame(),
)  # fmt: skip
CHOICE = Choice(TRIAL, "small", num_trials=8, rank=1)


@pytest.fixture
def config(compose_config) -> Config:
    return compose_config()


@pytest.fixture
def card(config) -> Callable[..., str]:
    """The card of another choice."""

    def written(evaluations=(EVALUATION,), num_elsewhere: int = 0, **changes: object) -> str:
        return model_card(config, Terms(), replace(CHOICE, **changes), TEST,
                          evaluations, num_elsewhere)  # fmt: skip

    return written


def test_error_is_shown_beside_validation_training_and_baselines(card) -> None:
    lines = card().splitlines()
    assert lines[0] == '# Face age: trial 5 of study "small"'
    start = lines.index("## Error")
    assert lines[start + 2 : start + 9] == [
        "| | MAE, years | 95 % interval |",
        "|---|---|---|",
        "| **test**, 34 faces | **8.12** | 7.00–9.25 |",
        "| validation, 240 faces | 7.83 | 6.94–8.73 |",
        "| training faces | 7.63 | |",
        "| always the mean training age, on test | 13.10 | |",
        "| always the median, on test | 12.90 | |",
    ]
    assert (
        "On test: RMSE 10.50, median error 6.50, within 5 years 41% (CS@5), bias -0.75 (positive: "
        "predictions too high). Gap to the training error +0.50; on validation +0.20."
    ) in lines


def test_every_age_band_has_its_number_interval_and_bias(card) -> None:
    lines = card().splitlines()
    assert "| 0–4 | 1 | 12.50 | – | +12.50 |" in lines
    assert "| 20–29 | 33 | 8.00 | 6.00–10.00 | -1.15 |" in lines
    assert "Below 30 faces an interval is too narrow." in lines


def test_card_says_how_the_trial_was_chosen(card) -> None:
    assert "The best of 8 complete trials by validation MAE" in card()
    assert "Number 3, chosen by hand, of 8 complete trials" in card(rank=3)
    assert "no other complete trial" in card(num_trials=1)


def test_card_lists_every_evaluation_of_the_test_part(card) -> None:
    assert "Test-set evaluation 1 of the study.\n" in card()
    second = Evaluation("2026-11-03 08:00:00", "trial 2", "r2")
    assert (
        "Test-set evaluation 2 of the study (trial 5 at 2026-11-02 12:00:03 UTC, trial 2 at "
        "2026-11-03 08:00:00 UTC): with each evaluation the number is less unbiased; 3 trials of "
        "other studies used the same test part.\n"
    ) in card([EVALUATION, second], num_elsewhere=3)


def test_card_says_what_the_model_is_made_of_and_not_for(card) -> None:
    shown = card()
    assert "`data=sample`, digest `d1g35t`: 1,774 faces (1,500 train, 240 val, 34 test;" in shown
    assert "the model has seen no face of a person" in shown
    assert "Adam, learning rate 0.0001, batch size 32, loss mae; weights imagenet" in shown
    assert "augmentation horizontal_flip; epoch 5 of 20, seed 0" in shown
    assert "code at commit `0123456789`" in shown
    assert "must not decide what a person may buy, do or enter" in shown
    assert "regulated in many places" in shown
    assert "licence" not in shown
    assert "backbone resnet50 that predicts age in years" in shown


def test_licence_of_real_faces_is_to_be_checked_by_the_user(compose_config, tmp_path) -> None:
    config = compose_config("data=utkface", f"data.root={tmp_path}", "augmentation=none")
    shown = model_card(config, Terms(), CHOICE, TEST, [EVALUATION])
    assert "licence allows your use" in shown
    assert "augmentation none" in shown
    assert str(tmp_path) not in shown  # a card travels


def test_card_fits_into_a_description(config) -> None:
    test = replace(TEST, bands=pd.concat([TEST.bands.tail(1)] * 9))
    assert len(model_card(config, Terms(), CHOICE, test, [EVALUATION] * 9)) < 5000


def test_words_of_the_card_are_those_of_target_and_objective(config) -> None:
    metrics = TRIAL.metrics | {"last/val_mae": 9.0, "last/train_mae": 8.0, "last/gap": 1.0}
    terms = Terms(TargetConfig("size", "mm", [0.0, 300.0], [[0, 300]]), Objective("last/val_mae"))
    choice = replace(CHOICE, trial=replace(TRIAL, metrics=metrics))
    shown = model_card(config, terms, choice, TEST, [EVALUATION])
    for text in ("# Face size: trial 5", "| | MAE, mm |", "within 5 mm", "## Error by size on test",
                 "by validation MAE of the last epoch", "| validation, 240 faces | 9.00 | – |",
                 "| training faces | 8.00 |", "last epoch of 20"):  # fmt: skip
        assert text in shown
    assert not re.search(r"\bages?\b|\byears?\b", shown)
