"""The page of a data set."""

import numpy as np
import pandas as pd

from src.config.schema import DataConfig, Layout
from src.data.inspection import MEASURES
from src.data.splits import PARTS
from src.exploration import figures
from src.exploration.ages import (
    band_counts,
    band_names,
    chance_distance,
    describe,
    distance,
    seed_ages,
)
from src.exploration.gallery import across_ages, conflicting_twins, extremes, flagged, look_alikes
from src.exploration.meaning import meaning, percent
from src.exploration.survey import Survey
from src.pages import Block, Document, Picture, Section, Table, Text


def document(survey: Survey, data: DataConfig) -> Document:
    """Ages, pictures, faults, split, and what they mean for training."""
    sections = [Section("What it means for training", [Text(_bullets(meaning(survey, data)))])]
    sections.append(Section("Ages", _ages(survey)))
    if survey.has_pictures:
        sections += [
            Section("Faces", [across_ages(survey, data.max_pixels)]),
            Section("Pictures", _pictures(survey, data)),
            Section("Balance of the split", _split(survey, data)),
        ]
    sections.append(Section("Duplicates and unusable rows", _faults(survey, data)))
    return Document(f"The faces of data={data.layout}", _summary(survey, data), sections)


def _summary(survey: Survey, data: DataConfig) -> str:
    ages = describe(survey.ages)
    quartiles = "/".join(f"{ages[name]:g}" for name in ("25 %", "median", "75 %"))
    text = (
        f"{len(survey.ages):,} ages: mean {ages['mean']:.6f} years, sd {ages['sd']:.6f}, "
        f"quartiles {quartiles}, from {ages['min']:g} to {ages['max']:g}."
    )
    if not survey.has_pictures:
        return f"{text} No picture could be used, so this page is about the labels alone."
    faces = survey.faces
    if data.layout is Layout.sample:
        text += " The project drew these faces; their ages follow the seed study's."
    return (
        f"{text} {len(faces):,} faces can be used: {_share(faces['is_gray'])} are gray, "
        f"{_share(faces['has_black_corner'])} have the black corners of a rotation, and in "
        f"{_share(~faces['shows_face'])} no face is found (covered, turned, or missed)."
    )


def _ages(survey: Survey) -> list[Block]:
    seed = seed_ages()
    counts = {"this data set": survey.ages, "seed study": seed}
    if survey.has_pictures:
        faces = survey.faces["age"].to_numpy()
        counts = {"this data set": survey.ages, "its usable faces": faces, "seed study": seed}
    values = pd.DataFrame([{"ages of": name, **describe(each)} for name, each in counts.items()])
    values = values.astype({"n": int})
    cells = values.assign(
        n=[f"{n:,}" for n in values["n"]],
        mean=values["mean"].map("{:.6f}".format),
        sd=values["sd"].map("{:.6f}".format),
        **{
            name: values[name].map("{:g}".format)
            for name in ("min", "25 %", "median", "75 %", "max")
        },
    )
    return [
        Picture(
            "ages",
            figures.age_histogram(survey.ages, seed),
            "Faces for each year of age. Single years that stand out beside their neighbours are "
            "ages that somebody rounded or one source favoured; the smooth line is what a "
            "model can use. The dashed line is the data that the seed study's errors are about.",
        ),
        Table(
            "age_statistics",
            cells,
            "Years; sd with n − 1. The first line counts every row whose age can be read, with "
            "or without a picture. The seed study's ages come from the counts in "
            "src/data/seed_ages.csv.",
            values=values,
            muted=[len(cells) - 1],
        ),
        _bands(survey, seed),
    ]


def _bands(survey: Survey, seed: np.ndarray) -> Table:
    counts = band_counts(survey.ages)
    values = pd.DataFrame({"age band": band_names(), "n": counts, "share": counts / counts.sum()})
    values["seed study's share"] = band_counts(seed) / len(seed)
    cells = values.assign(
        n=[f"{n:,}" for n in counts],
        **{name: values[name].map(percent) for name in ("share", "seed study's share")},
    )
    if survey.has_pictures:
        for part in PARTS:
            in_part = band_counts(survey.part(part)["age"].to_numpy())
            values[part], cells[part] = in_part, [f"{n:,}" for n in in_part]
    caption = "Labels in each age band (years)"
    parts = ", and the usable faces that each part of the split gets" if survey.has_pictures else ""
    return Table("age_bands", cells, f"{caption}{parts}.", values=values)


def _pictures(survey: Survey, data: DataConfig) -> list[Block]:
    faces = survey.faces
    flags = {
        "gray": faces["is_gray"],
        "black corners": faces["has_black_corner"],
        "no face found": ~faces["shows_face"],
    }
    blocks: list[Block] = []
    if len(faces[["width", "height"]].drop_duplicates()) == 1:
        one = faces.iloc[0]
        blocks.append(Text(f"All pictures are {one['width']} × {one['height']} px."))
    else:
        blocks += [
            _sizes(faces),
            Picture(
                "sizes",
                figures.picture_sizes(faces, data.image_size),
                "Size of every file. Below and left of the cross, a picture is enlarged for the "
                "model and gains no detail; off the line, it is squeezed to a square.",
            ),
        ]
    blocks += [
        Picture(
            "light",
            figures.light(faces),
            "Light and sharpness of the original files. Far out on either side lie pictures that "
            "are nearly black, burnt out, or blurred; the examples below are those.",
        ),
        _measures(faces),
        *extremes(survey, data.max_pixels),
        Picture(
            "traits",
            figures.shares_by_band(faces, flags),
            "Traits by age, with 95 % intervals. Where a line is not flat, the trait says "
            "something about the age, and a model may learn it in place of the face.",
        ),
        _traits(flags),
        *flagged(survey, flags, data.max_pixels),
    ]
    return blocks


def _sizes(faces: pd.DataFrame) -> Table:
    sizes = faces.groupby(["width", "height"]).size().sort_values(ascending=False, kind="stable")
    values = sizes.rename("faces").reset_index().rename(
        columns={"width": "width (px)", "height": "height (px)"}
    )  # fmt: skip
    cells = values.head(10).assign(faces=[f"{n:,}" for n in values["faces"].head(10)])
    return Table(
        "size_counts", cells, f"The most frequent of {len(values):,} sizes.", values=values
    )


def _measures(faces: pd.DataFrame) -> Table:
    rows = []
    for name, unit in MEASURES.items():
        column = faces[name].astype(float)
        low, median, high = np.percentile(column, [5, 50, 95])
        rows.append({
            "measure": name, "mean": column.mean(), "sd": column.std(), "5 %": low,
            "median": median, "95 %": high,
            "rank correlation with age": _rank_correlation(faces, name), "unit": unit,
        })  # fmt: skip
    values = pd.DataFrame(rows)
    numbers = ["mean", "sd", "5 %", "median", "95 %"]
    cells = values.assign(
        **{name: [_number(value) for value in values[name]] for name in numbers},
        **{"rank correlation with age": [
            "–" if np.isnan(value) else f"{value:+.2f}".replace("-", "−")
            for value in values["rank correlation with age"]
        ]},
    )  # fmt: skip
    return Table(
        "measures", cells,
        "Of the original files. The rank correlation (Spearman) is 0 where a measure says nothing "
        "about the age, ±1 where it orders the faces by age.",
        values=values,
    )  # fmt: skip


def _traits(flags: dict[str, pd.Series]) -> Table:
    rules = {
        "gray": "99 of 100 pixels have channels within 8 levels of each other.",
        "black corners": "A corner is cut off by a straight, slanting edge with pure black behind "
        "it, as a rotation leaves. Wedges that run into dark hair are missed.",
        "no face found": "scikit-image's frontal cascade finds none: likely covered, turned or "
        "tilted, or plainly missed.",
    }
    values = pd.DataFrame(
        {
            "trait": list(flags),
            "faces": [int(flag.sum()) for flag in flags.values()],
            "share": [float(flag.mean()) for flag in flags.values()],
            "rule": [rules[name] for name in flags],
        }
    )
    cells = values.assign(share=values["share"].map(percent))
    return Table(
        "trait_shares", cells,
        "How often each trait occurs. The detector errs: on aligned photographs it finds none in "
        "5 %, of which, by eye, half are turned or tilted, one in eight is covered by a hand, a "
        "hat or a watermark, and the rest show plain faces. Of faces that it had found it lost "
        "94 % when they were tilted by 30°, 85 % with one half covered, 38 % with covered eyes, "
        "20 % with a covered mouth. What it says of drawn faces means nothing.",
        values=values,
    )  # fmt: skip


def _split(survey: Survey, data: DataConfig) -> list[Block]:
    parts = [part for part in PARTS if len(survey.part(part))]
    train = survey.part(parts[0])["age"].to_numpy()
    rows = []
    for part in parts:
        ages = survey.part(part)["age"].to_numpy()
        is_first = part == parts[0]
        rows.append({
            "part": part, "share": len(ages) / len(survey.faces), **describe(ages),
            "distance": np.nan if is_first else distance(ages, train),
            "by chance": np.nan if is_first else chance_distance(len(ages), len(train)),
        })  # fmt: skip
    values = pd.DataFrame(rows).drop(columns=["min", "max"]).astype({"n": int})
    cells = values.assign(
        share=values["share"].map(percent),
        n=[f"{n:,}" for n in values["n"]],
        mean=values["mean"].map("{:.2f}".format),
        sd=[_number(value) for value in values["sd"]],
        **{name: values[name].map("{:g}".format) for name in ("25 %", "median", "75 %")},
        **{name: ["–" if np.isnan(v) else f"{v:.4f}" for v in values[name]]
           for name in ("distance", "by chance")},
    )  # fmt: skip
    return [
        Picture(
            "split",
            figures.ages_by_part(survey.faces),
            "Ages of the parts, cumulated. Lines that lie on each other mean that the parts hold "
            "the same mixture of ages, so an error on one is fair to the other.",
        ),
        Table(
            "parts",
            cells,
            f"data.split.method={data.split.method}. Distance: the largest gap between a part's "
            f"line and that of {parts[0]} (Kolmogorov–Smirnov); by chance: what a random split "
            "stays under in 19 of 20 cases.",
            values=values,
        ),
    ]


def _faults(survey: Survey, data: DataConfig) -> list[Block]:
    blocks: list[Block] = [_reasons(survey)]
    conflicts = survey.findings.query("reason == 'conflicting_duplicate'")
    if len(conflicts):
        blocks.append(_conflicts(conflicts))
        blocks += conflicting_twins(survey, conflicts, data.max_pixels)
    if len(survey.look_alikes):
        pairs = survey.look_alikes
        cells = pd.DataFrame({
            "rows": [f"{a}, {b}" for a, b in zip(pairs["row_1"], pairs["row_2"], strict=True)],
            "ages": [f"{a:g}, {b:g}" for a, b in zip(pairs["age_1"], pairs["age_2"], strict=True)],
            "parts": [f"{a}, {b}" for a, b in
                      zip(pairs["split_1"], pairs["split_2"], strict=True)],
        })  # fmt: skip
        blocks.append(
            Table(
                "look_alikes",
                cells,
                f"{len(pairs):,} pairs that are one photograph in different bytes: stored at "
                "another size or quality (shrunk to 16 × 16 px they correlate with 0.995 or "
                "more). Such pairs may be split between parts.",
                values=pairs,
            )
        )
        blocks.append(look_alikes(survey, data.max_pixels))
    return blocks


def _reasons(survey: Survey) -> Block:
    findings = survey.findings
    if findings.empty:
        return Text(f"All {survey.num_rows:,} rows can be used, and none repeats another.")
    groups = findings.groupby(["reason", "action"], sort=False)["row"]
    cells = groups.agg(["size", _first_rows]).reset_index()
    cells.columns = pd.Index(["reason", "action", "rows", "which"])
    cells = cells.sort_values("rows", ascending=False, kind="stable")
    cells["rows"] = [f"{n:,}" for n in cells["rows"]]
    return Table(
        "findings",
        cells,
        "Rows that were dropped, or kept though remarkable, counted from below the table's "
        "header. Duplicates have the same bytes under another name: with the same age, or, "
        "conflicting, with another. The CSV lists every row.",
        values=findings,
    )


def _conflicts(conflicts: pd.DataFrame) -> Table:
    ages = conflicts["age_text"].astype(float).groupby(conflicts["detail"])
    values = pd.DataFrame({"youngest": ages.min(), "oldest": ages.max()})
    values["apart"] = values["oldest"] - values["youngest"]
    values = values.sort_values("apart", ascending=False, kind="stable").reset_index(names="rows")
    values["rows"] = values["rows"].str.removeprefix("rows ")
    cells = values.assign(
        **{name: values[name].map("{:g}".format) for name in ("youngest", "oldest", "apart")}
    )
    return Table(
        "conflicting_duplicates",
        cells,
        f"{len(values):,} pictures with more than one age (years): what the labels themselves "
        "are unsure of.",
        values=values,
    )


def _rank_correlation(faces: pd.DataFrame, name: str) -> float:
    """NaN where one of the two does not vary."""
    if faces[name].nunique() < 2 or faces["age"].nunique() < 2:
        return float("nan")
    return float(faces[name].corr(faces["age"], method="spearman"))


def _first_rows(rows: pd.Series) -> str:
    shown = ", ".join(str(row) for row in rows.head(5))
    return f"{shown}, …" if len(rows) > 5 else shown


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.1f}"


def _share(flags: pd.Series) -> str:
    return percent(flags.mean())


def _bullets(sentences: list[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
