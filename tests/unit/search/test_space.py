"""Spaces and their checks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import UsageError
from src.search.space import Choices, Condition, Hyperparameter, Interval, check_space

RATE = Hyperparameter("model.dropout_rate", Choices(("0", "0.2")))
PLACE = Choices(("before_pooling", "after_pooling"))


def conditional(key: str, *texts: str) -> Hyperparameter:
    return Hyperparameter("model.dropout_position", PLACE, Condition(key, texts))


def test_parents_come_before_children() -> None:
    child = conditional("model.dropout_rate", "0.2")
    assert check_space([child, RATE]) == (RATE, child)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ([conditional("model.loss", "mse")], "Fix: model.loss=choice"),
        ([RATE, conditional("model.dropout_rate", "0.3")], "Fix: one of 0, 0.2"),
        ([Hyperparameter("a", Choices(("1", "1.0")))], "listed once"),
        ([Hyperparameter("a", Interval(1, 1, False, False))], "from low to high"),
        ([Hyperparameter("a", Interval(0, 1, True, False))], "begin above 0"),
        (
            [
                Hyperparameter("a", Choices(("1", "2")), Condition("b", ("1",))),
                Hyperparameter("b", Choices(("1", "2")), Condition("a", ("1",))),
            ],
            "depend on each other",
        ),
    ],
)
def test_what_cannot_be_swept_says_why(space: list[Hyperparameter], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_space(space)


@given(st.floats(1e-8, 1e3), st.floats(1e-8, 1e3), st.floats(0, 1))
def test_spelled_value_stays_in_its_interval(one: float, other: float, share: float) -> None:
    low, high = sorted((one, other))
    value = min(max(low + share * (high - low), low), high)
    spelled = float(Interval(low, high, False, False).spell(value))
    assert low <= spelled <= high
    assert spelled == pytest.approx(value, rel=1e-3)


def test_whole_numbers_are_spelled_as_such() -> None:
    assert Interval(16, 256, True, True).spell(64.0) == "64"


def test_numbers_are_known_from_words() -> None:
    assert Choices(("1e-5", "16")).numbers == (1e-5, 16.0)
    assert Choices(("null", "64")).numbers is None
    assert Choices(("[]", "[48]")).numbers is None
