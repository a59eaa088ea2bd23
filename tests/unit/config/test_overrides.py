import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config.overrides import adapt_overrides


@pytest.mark.parametrize(
    ("typed", "passed_on"),
    [
        ("+trial=3", ["trial='3'"]),
        ("trial=3", ["trial='3'"]),
        ("+trial=1,2,3", ["trial='1','2','3'"]),
        ("+trial='3'", ["trial='3'"]),
        ("+trial=best", ["trial=best"]),
        ("+scale=small", ["scale=small"]),
        ("+trial=3a", ["trial=3a"]),
        ("study.trial=3", ["study.trial=3"]),
        ("-m", ["-m"]),
    ],
)
def test_optional_groups_are_adapted_and_nothing_else(typed: str, passed_on: list[str]) -> None:
    assert adapt_overrides([typed]) == passed_on


@pytest.mark.parametrize(
    ("typed", "passed_on"),
    [
        ("study=seed", ["study=seed", "study.name='seed'"]),
        ("study=mine", ["study.name='mine'"]),
        ("study=first try", ["study.name='first try'"]),
        ("study=12", ["study.name='12'"]),
        ("study.name=1e3", ["study.name='1e3'"]),
        ("study.name='a b'", ["study.name='a b'"]),
        ("study.name=a,b", ["study.name=a,b"]),
    ],
)
def test_study_is_a_name_and_its_file_where_there_is_one(typed: str, passed_on: list[str]) -> None:
    assert adapt_overrides([typed]) == passed_on


@pytest.mark.parametrize(
    ("typed", "passed_on"),
    [
        (
            "target={name: size, unit: mm, range: [0, 300], bands: [[0,99],[100,300]]}",
            ["target.name=size", "target.unit=mm", "target.range=[0, 300]",
             "target.bands=[[0,99],[100,300]]"],
        ),
        ("target={name:size,unit:mm}", ["target.name=size", "target.unit=mm"]),
        ("target={unit: 'a, b: c'}", ["target.unit='a, b: c'"]),
        ("target={}", ["target={}"]),
        ("target={size}", ["target={size}"]),
        ("hydra.sweeper.params={a: 1}", ["hydra.sweeper.params={a: 1}"]),
    ],
)  # fmt: skip
def test_group_of_values_becomes_an_override_for_each_key(typed: str, passed_on) -> None:
    assert adapt_overrides([typed]) == passed_on


@given(
    st.lists(
        st.from_regex(r"\+?(trial|scale|study|study\.name)=['0-9a,]*|study=seed", fullmatch=True)
        | st.text()
    )
)
def test_adapting_twice_changes_nothing_more(arguments: list[str]) -> None:
    once = adapt_overrides(arguments)
    assert adapt_overrides(once) == once
