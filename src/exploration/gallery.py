"""Faces to look at, with a line below each. They stay on local pages."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from src.data.thumbnail import thumbnail
from src.exploration.survey import Survey
from src.pages import Faces

_NUM_ACROSS_AGES = 28
_NUM_EXAMPLES = 6


def across_ages(survey: Survey, max_pixels: int) -> Faces:
    """One face for each of evenly spaced ages from the youngest to the oldest."""
    faces = survey.faces.drop_duplicates("digest").sort_values(["age", "digest"])
    ages = faces["age"].to_numpy()
    wanted = np.linspace(ages[0], ages[-1], min(_NUM_ACROSS_AGES, len(faces)))
    places = np.unique([int(np.abs(ages - age).argmin()) for age in wanted])
    chosen = faces.iloc[places]
    labels = [
        f"{_years(age)}, {width}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{height}\N{NO-BREAK SPACE}px"
        for age, width, height in zip(chosen["age"], chosen["width"], chosen["height"], strict=True)
    ]
    caption = (
        f"{len(chosen)} of {len(faces):,} faces, from the youngest to the oldest, with the size of "
        "their files."
    )
    return _gallery(survey, chosen["file_name"], labels, caption, max_pixels)


def extremes(survey: Survey, max_pixels: int) -> list[Faces]:
    """The faces at the ends of brightness, contrast and sharpness."""
    ends = (
        ("brightness", True, "darkest"),
        ("brightness", False, "brightest"),
        ("contrast", True, "flattest"),
        ("sharpness", True, "most blurred"),
        ("sharpness", False, "sharpest"),
    )
    faces = survey.faces.drop_duplicates("digest")
    galleries = []
    for measure, is_lowest, word in ends:
        chosen = faces.sort_values([measure, "digest"], ascending=is_lowest).head(_NUM_EXAMPLES)
        labels = [
            f"{measure} {value:.0f}, {_years(age)}"
            for value, age in zip(chosen[measure], chosen["age"], strict=True)
        ]
        galleries.append(
            _gallery(survey, chosen["file_name"], labels, f"The {word} pictures.", max_pixels)
        )
    return galleries


def flagged(survey: Survey, flags: Mapping[str, pd.Series], max_pixels: int) -> list[Faces]:
    """Examples of each trait, evenly spaced through the ages of those that have it."""
    galleries = []
    for trait, flag in flags.items():
        having = survey.faces[flag].drop_duplicates("digest").sort_values(["age", "digest"])
        if having.empty:
            continue
        count = min(2 * _NUM_EXAMPLES, len(having))
        chosen = having.iloc[np.linspace(0, len(having) - 1, count).round().astype(int)]
        labels = [_years(age) for age in chosen["age"]]
        caption = f"{trait.capitalize()}: {count} of {len(having):,} pictures, by age."
        galleries.append(_gallery(survey, chosen["file_name"], labels, caption, max_pixels))
    return galleries


def conflicting_twins(survey: Survey, conflicts: pd.DataFrame, max_pixels: int) -> list[Faces]:
    """The pictures whose labels are furthest apart."""
    ages = conflicts.assign(age=conflicts["age_text"].astype(float)).groupby("detail")
    table = ages.agg(
        file_name=("file_name", "first"), youngest=("age", "min"), oldest=("age", "max")
    )
    table["apart"] = table["oldest"] - table["youngest"]
    chosen = table.sort_values("apart", ascending=False, kind="stable").head(_NUM_EXAMPLES)
    labels = [f"{row.youngest:g} or {row.oldest:g} years?" for row in chosen.itertuples()]
    caption = "One picture, two ages: the widest disagreements."
    return [_gallery(survey, chosen["file_name"], labels, caption, max_pixels)]


def look_alikes(survey: Survey, max_pixels: int) -> Faces:
    """The pairs of one photograph whose labels are furthest apart, one beside the other."""
    chosen = survey.look_alikes.head(_NUM_EXAMPLES)
    names = pd.concat([chosen["file_name_1"], chosen["file_name_2"]]).sort_index(kind="stable")
    labels = [
        f"{_years(age)}, {part}, row\N{NO-BREAK SPACE}{row}"
        for pair in chosen.to_dict("records")
        for age, part, row in (
            (pair["age_1"], pair["split_1"], pair["row_1"]),
            (pair["age_2"], pair["split_2"], pair["row_2"]),
        )
    ]
    caption = "One photograph in different bytes: the pairs whose ages are furthest apart."
    return _gallery(survey, names, labels, caption, max_pixels)


def _gallery(
    survey: Survey, names: pd.Series, labels: Sequence[str], caption: str, max_pixels: int
) -> Faces:
    pictures = [thumbnail(survey.root / name, max_pixels) for name in names]
    return Faces(pictures, labels, caption)


def _years(age: float) -> str:
    return "1 year" if age == 1 else f"{age:g}\N{NO-BREAK SPACE}years"
