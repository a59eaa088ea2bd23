"""Galleries of faces with captions, for local pages only."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from src.data.decoding import thumbnail
from src.exploration.survey import Survey
from src.pages.blocks import Faces

_NUM_ACROSS_LABELS = 28
_NUM_EXAMPLES = 6
_SPACE = "\N{NO-BREAK SPACE}"
_EXTREMES = {
    ("brightness", True): "darkest",
    ("brightness", False): "brightest",
    ("contrast", True): "flattest",
    ("sharpness", True): "most blurred",
    ("sharpness", False): "sharpest",
}


def across_labels(survey: Survey) -> Faces:
    """Returns one face for each of evenly spaced labels from the lowest to the highest."""
    faces = _distinct(survey.faces)
    labels = faces["label"].to_numpy()
    wanted = np.linspace(labels[0], labels[-1], min(_NUM_ACROSS_LABELS, len(faces)))
    indices = np.unique([int(np.abs(labels - label).argmin()) for label in wanted])
    chosen = faces.iloc[indices]
    captions = [
        f"{_value(survey, face['label'])}, "
        f"{face['width']}{_SPACE}×{_SPACE}{face['height']}{_SPACE}px"
        for face in chosen.to_dict("records")
    ]
    caption = (
        f"{len(chosen)} of {len(faces):,} faces, from the lowest {survey.target.name} to the "
        "highest, with the size of their files."
    )
    return _gallery(survey, chosen["file_name"], captions, caption)


def extremes(survey: Survey) -> list[Faces]:
    """Returns the faces with the lowest and highest brightness, contrast and sharpness."""
    faces = survey.faces.drop_duplicates("digest")
    galleries = []
    for (measure, is_lowest), word in _EXTREMES.items():
        chosen = faces.sort_values([measure, "digest"], ascending=is_lowest).head(_NUM_EXAMPLES)
        captions = [
            f"{measure} {value:.0f}, {_value(survey, label)}"
            for value, label in zip(chosen[measure], chosen["label"], strict=True)
        ]
        galleries.append(_gallery(survey, chosen["file_name"], captions, f"The {word} pictures."))
    return galleries


def flagged(survey: Survey, flags: Mapping[str, pd.Series]) -> list[Faces]:
    """Returns examples of each trait, evenly spaced by label."""
    galleries = []
    for trait, flag in flags.items():
        having = _distinct(survey.faces[flag])
        if having.empty:
            continue
        count = min(2 * _NUM_EXAMPLES, len(having))
        chosen = having.iloc[np.linspace(0, len(having) - 1, count).round().astype(int)]
        captions = [_value(survey, label) for label in chosen["label"]]
        caption = f"{trait.capitalize()}: {count} of {len(having):,}, by {survey.target.name}."
        galleries.append(_gallery(survey, chosen["file_name"], captions, caption))
    return galleries


def conflicts(survey: Survey) -> Faces:
    """Returns the pictures whose own labels differ most."""
    chosen = survey.conflicts.head(_NUM_EXAMPLES)
    captions = [
        f"{row.lowest:g} or {row.highest:g} {survey.target.unit}" for row in chosen.itertuples()
    ]
    caption = "Pictures with several labels: the largest differences."
    return _gallery(survey, chosen["file_name"], captions, caption)


def near_duplicates(survey: Survey) -> Faces:
    """Returns the near-duplicates whose labels differ most, one beside the other."""
    chosen = survey.near_duplicates.head(_NUM_EXAMPLES)
    names = pd.concat([chosen["file_name_1"], chosen["file_name_2"]]).sort_index(kind="stable")
    captions = [
        f"{_value(survey, pair[f'label_{side}'])}, {pair[f'split_{side}']}, "
        f"row{_SPACE}{pair[f'row_{side}']}"
        for pair in chosen.to_dict("records")
        for side in (1, 2)
    ]
    caption = "Near-duplicates: the pairs whose labels differ most."
    return _gallery(survey, names, captions, caption)


def _distinct(faces: pd.DataFrame) -> pd.DataFrame:
    return faces.drop_duplicates("digest").sort_values(["label", "digest"])


def _gallery(survey: Survey, names: pd.Series, captions: Sequence[str], caption: str) -> Faces:
    pictures = [thumbnail(survey.root / name, survey.data.max_pixels) for name in names]
    return Faces(pictures, captions, caption)


def _value(survey: Survey, label: float) -> str:
    return f"{label:g}{_SPACE}{survey.target.unit}"
