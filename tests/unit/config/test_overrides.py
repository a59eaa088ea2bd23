import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config.overrides import adapt_overrides


@pytest.mark.parametrize(
    ("typed", "passed_on"),
    [
        ("+trial=3", "trial='3'"),
        ("trial=3", "trial='3'"),
        ("+trial=1,2,3", "trial='1','2','3'"),
        ("+trial='3'", "trial='3'"),
        ("+trial=best", "trial=best"),
        ("+scale=small", "scale=small"),
        ("+trial=3a", "trial=3a"),
        ("study.trial=3", "study.trial=3"),
        ("-m", "-m"),
    ],
)
def test_optional_groups_are_adapted_and_nothing_else(typed: str, passed_on: str) -> None:
    assert adapt_overrides([typed]) == [passed_on]


@given(st.lists(st.from_regex(r"\+?(trial|scale|study)=['0-9a,]*", fullmatch=True) | st.text()))
def test_adapting_twice_changes_nothing_more(arguments: list[str]) -> None:
    once = adapt_overrides(arguments)
    assert adapt_overrides(once) == once
    assert len(once) == len(arguments)
