import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config.overrides import quote_trial_numbers


@pytest.mark.parametrize(
    ("typed", "passed_on"),
    [
        ("+trial=3", "+trial='3'"),
        ("trial=3", "trial='3'"),
        ("+trial=1,2,3", "+trial='1','2','3'"),
        ("+trial='3'", "+trial='3'"),
        ("+trial=best", "+trial=best"),
        ("study.trial=3", "study.trial=3"),
        ("-m", "-m"),
    ],
)
def test_trial_numbers_are_quoted_and_nothing_else(typed: str, passed_on: str) -> None:
    assert quote_trial_numbers([typed]) == [passed_on]


@given(st.lists(st.text()))
def test_quoting_twice_changes_nothing_more(arguments: list[str]) -> None:
    once = quote_trial_numbers(arguments)
    assert quote_trial_numbers(once) == once
    assert len(once) == len(arguments)
