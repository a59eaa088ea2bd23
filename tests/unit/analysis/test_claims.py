import re

import pytest

from src.analysis.claims import Answer, judge_claims
from src.analysis.leaderboard.numbers import leaderboard
from tests.unit.analysis.made_data import claim, study_data
from tests.unit.analysis.made_study import grid


def judged(study):
    return judge_claims(study, leaderboard(study))


def ends_of(judgement) -> list[float]:
    return [float(end) for end in re.findall(r"\[(.*), (.*)\]", judgement.reason)[0]]


def dropout_helps(configuration) -> float:
    return -2.0 * (configuration["model.dropout_rate"] == "0.2")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (claim(direction="down"), Answer.supported),
        (claim(direction="up"), Answer.contradicted),
        (claim(direction="down", at_least=1.0), Answer.supported),
        (claim(direction="down", at_least=5.0), Answer.contradicted),
        (claim(direction="down", at_least=1.5), Answer.not_resolved),
        (claim("data.batch_size"), Answer.not_resolved),
        (claim("optimizer.learning_rate"), Answer.not_resolved),
        (claim("model.freeze"), Answer.not_resolved),
        (claim(None, "gap", "up"), Answer.supported),
        (claim(None, "gap", "down"), Answer.contradicted),
        (claim(None, "val_mae", "up", at_least=100.0), Answer.contradicted),
    ],
)
def test_answers(asked, answer) -> None:
    study = study_data(effect=dropout_helps, spread=0.05, claims=[asked])
    (judgement,) = judged(study)
    assert judgement.answer is answer, judgement.reason


def test_reason_has_effect_interval_and_number_of_trials() -> None:
    study = study_data(effect=dropout_helps, claims=[claim()])
    (judgement,) = judged(study)
    assert judgement.reason.startswith("from 0.0 to 0.2: -")
    assert "years [-" in judgement.reason
    assert judgement.reason.endswith("n = 24")


def test_intervals_widen_with_the_number_of_claims() -> None:
    (alone,) = judged(study_data(claims=[claim()]))
    first, *_ = judged(study_data(claims=[claim()] * 4))
    (first_low, first_high), (low, high) = map(ends_of, (first, alone))
    assert first_low < low < high < first_high
    assert "98.75%" in first.reason


def test_confounded_claims_name_the_other_key() -> None:
    together = [
        {"model.dropout_rate": "0", "data.batch_size": "16", "optimizer.learning_rate": rate}
        for rate in ("1", "2")
    ] + [
        {"model.dropout_rate": "1", "data.batch_size": "32", "optimizer.learning_rate": rate}
        for rate in ("1", "2")
    ]
    (judgement,) = judged(study_data(together, claims=[claim()]))
    assert judgement.answer is Answer.not_resolved
    assert "model.dropout_rate is confounded with data.batch_size in" in judgement.reason


@pytest.mark.parametrize("num_trials", [0, 1, 2])
def test_hardly_any_trials_resolve_nothing(num_trials: int) -> None:
    asked = [claim(), claim("optimizer.learning_rate")]
    study = study_data(grid()[:num_trials], num_seeds=1, claims=asked)
    assert {each.answer for each in judged(study)} == {Answer.not_resolved}
