import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.config.schema import SplitConfig, SplitMethod
from src.core.errors import UsageError
from src.data.splits import assign_splits, refuse_empty_parts


def make_faces(ages: list[int], twins: int = 0) -> pd.DataFrame:
    """Distinct pictures, the first `twins` of them twice."""
    contents = [*range(len(ages)), *range(twins)]
    return pd.DataFrame(
        {
            "row": range(1, len(contents) + 1),
            "age": [float(ages[content]) for content in contents],
            "digest": [hashlib.sha256(str(content).encode()).hexdigest() for content in contents],
            "official_split": "train",
        }
    )


def stratified(seed: int = 0, val: float = 0.2, test: float = 0.2) -> SplitConfig:
    return SplitConfig(SplitMethod.stratified, val, test, seed)


many_ages = st.lists(st.integers(0, 100), min_size=10, max_size=200)


@settings(deadline=None)
@given(many_ages, st.integers(0, 5), st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_split_is_a_partition_that_keeps_twins_together_and_forgets_the_order(
    ages: list[int], twins: int, seed: int, shuffle: int
) -> None:
    faces = make_faces(ages, twins)
    parts = assign_splits(faces, stratified(seed), "age")
    assert set(parts) <= {"train", "val", "test"}
    assert (parts.groupby(faces["digest"]).nunique() == 1).all()

    shuffled = faces.sample(frac=1, random_state=shuffle % 2**31).reset_index(drop=True)
    again = assign_splits(shuffled, stratified(seed), "age")
    assert dict(zip(shuffled["row"], again, strict=True)) == dict(
        zip(faces["row"], parts, strict=True)
    )


@settings(deadline=None)
@given(many_ages, st.floats(0.1, 0.5), st.floats(0, 0.4))
def test_fractions_are_kept_to_within_one_face(ages: list[int], val: float, test: float) -> None:
    parts = assign_splits(make_faces(ages), stratified(val=val, test=test), "age")
    counts = parts.value_counts()
    assert abs(counts.get("test", 0) - test * len(ages)) <= 1
    assert abs(counts.get("val", 0) - val * len(ages)) <= 2


def test_every_age_range_is_in_every_part() -> None:
    ages = sorted(np.random.default_rng(0).integers(0, 100, 1000))
    faces = make_faces([int(age) for age in ages])
    parts = assign_splits(faces, stratified(), "age")
    means = faces["age"].groupby(parts).mean()
    assert (means - faces["age"].mean()).abs().max() < 1
    decades = faces["age"] // 10
    share = (parts == "val").groupby(decades).mean()
    assert share.between(0.14, 0.26).all()


def test_seeds_differ_and_zero_is_one_of_them() -> None:
    faces = make_faces(list(range(100)))
    splits = [tuple(assign_splits(faces, stratified(seed), "age")) for seed in (0, 1, 2)]
    assert len(set(splits)) == 3
    assert tuple(assign_splits(faces, stratified(0), "age")) == splits[0]


def test_notebook_split_takes_the_first_rows_of_the_table() -> None:
    faces = make_faces(list(range(41))).sample(frac=1, random_state=0)
    split = SplitConfig(SplitMethod.notebook, 0.25, 0.0, 0)
    parts = assign_splits(faces, split, "age")
    assert sorted(faces["row"][parts == "val"]) == list(range(1, 11))  # int(41 × 0.25)


def test_notebook_split_keeps_twins_with_the_first_of_them() -> None:
    faces = make_faces([30] * 20, twins=2)  # rows 1 and 2 again as rows 21 and 22
    parts = assign_splits(faces, SplitConfig(SplitMethod.notebook, 0.25, 0.0, 0), "age")
    assert parts[20] == parts[21] == "val"


def test_official_split_is_read_and_must_be_complete() -> None:
    faces = make_faces(list(range(6)))
    official = SplitConfig(SplitMethod.official, 0.2, 0.2, 0)
    faces["official_split"] = ["train", "train", "val", "val", "test", "test"]
    assert list(assign_splits(faces, official, "age")) == list(faces["official_split"])
    faces.loc[0, "official_split"] = "trane"
    with pytest.raises(UsageError, match="'trane'"):
        assign_splits(faces, official, "age")


@pytest.mark.parametrize("only", ["train", "val"])
def test_empty_training_or_validation_part_is_refused(only: str) -> None:
    with pytest.raises(UsageError, match="part of the split is empty"):
        refuse_empty_parts(pd.Series([only] * 3), SplitMethod.official)


def test_one_face_lands_in_one_part() -> None:
    assert len(assign_splits(make_faces([30]), stratified(), "age")) == 1
