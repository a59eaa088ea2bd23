"""On which faces the best model errs."""

import math
from collections.abc import Sequence

import pandas as pd

from src.analysis.faces import FaceErrors, pull_to_the_mean
from src.analysis.figures.faces import age_bands
from src.analysis.sections.formatting import interval
from src.pages import Block, Faces, Picture, Section, Table, Text


def faces_section(errors: FaceErrors | None, worst_faces: Sequence[bytes]) -> Section:
    """The chapter; without blocks where there is nothing to say."""
    if errors is None:
        return Section("Faces", [])
    blocks: list[Block] = [
        Text(f"Of the best trial ({errors.trial.name}). {pull_to_the_mean(errors)}"),
        Picture(
            "age_bands",
            age_bands(errors),
            "Error and bias of the best trial by age. Bias above the line: guessed too old; "
            "models draw towards the mean age.",
        ),
        Table(
            "age_bands",
            pd.DataFrame(
                {
                    "age": [band.name for band in errors.bands],
                    "n": [str(band.count) for band in errors.bands],
                    "MAE [95 %]": [interval(band.mae) for band in errors.bands],
                    "bias [95 %]": [interval(band.bias, "+") for band in errors.bands],
                }
            ),
            "Years. Under some 30 faces the intervals are too narrow.",
        ),
    ]
    if worst_faces:
        numbers = errors.worst[["age", "prediction", "others"]].to_numpy(float)
        labels = [
            f"{age:g} years, guessed {guess:.0f}"
            + ("" if math.isnan(others) else f" (others {others:.0f})")
            for age, guess, others in numbers
        ]
        blocks.append(
            Faces(
                worst_faces,
                labels,
                "The best trial's largest errors; in brackets what the other trials guess, in the "
                "middle. A wrong label or a poor picture shows in all of them.",
            )
        )
    return Section("Faces", blocks)
