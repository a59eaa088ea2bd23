"""Page of a data set: labels, pictures, split and faults."""

import numpy as np
import pandas as pd
from scipy import stats

from src.config.schema import Layout
from src.core.metrics import band_name
from src.data.inspection import MEASURES
from src.data.splits import PARTS
from src.exploration import figures, gallery
from src.exploration.implications import implications, percent, rank_correlation
from src.exploration.labels import band_counts, chance_distance, describe, seed_labels
from src.exploration.survey import Survey
from src.pages.blocks import Block, Document, Formats, Picture, Section, Table, Text

_TRAITS = {
    "gray": "99 of 100 pixels have channels within 8 levels of each other.",
    "black corners": "A corner is cut off by a straight, slanting edge with pure black behind it, "
    "as a rotation produces. Wedges that end in dark hair are missed.",
    "no face found": "scikit-image's frontal cascade finds none: covered, turned or missed.",
}


def document(survey: Survey) -> Document:
    """Returns the page."""
    sentences = "\n".join(f"- {sentence}" for sentence in implications(survey))
    sections = [
        Section("Implications for training", [Text(sentences)]),
        Section(survey.target.name.capitalize(), _labels(survey)),
    ]
    if survey.has_pictures:
        sections += [
            Section("Faces", [gallery.across_labels(survey)]),
            Section("Pictures", _pictures(survey)),
            Section("Balance of the split", _split(survey)),
        ]
    sections.append(Section("Duplicates and unusable rows", _faults(survey)))
    return Document(f"The faces of data={survey.data.layout}", _summary(survey), sections)


def _summary(survey: Survey) -> str:
    found, target = describe(survey.labels), survey.target
    quartiles = "/".join(f"{found[name]:g}" for name in ("25 %", "median", "75 %"))
    text = (
        f"{len(survey.labels):,} labels ({target.name}): mean {found['mean']:.6f} {target.unit}, "
        f"sd {found['sd']:.6f}, quartiles {quartiles}, from {found['min']:g} to {found['max']:g}."
    )
    if not survey.has_pictures:
        return f"{text} No picture could be used, so this page is about the labels only."
    faces = survey.faces
    if survey.data.layout is Layout.sample:
        text += " These faces are drawn; their labels follow the seed study's."
    return (
        f"{text} {len(faces):,} faces can be used: {percent(faces['is_gray'].mean())} are gray, "
        f"{percent(faces['has_black_corner'].mean())} have the black corners of a rotation, and in "
        f"{percent((~faces['shows_face']).mean())} no face is found (covered, turned, or missed)."
    )


def _labels(survey: Survey) -> list[Block]:
    name, column, seed = survey.target.name, survey.target.column, seed_labels(survey.target)
    parts = {"this data set": survey.labels}
    if survey.has_pictures:
        parts["its usable faces"] = survey.faces["label"].to_numpy()
    if seed is not None:
        parts["seed study"] = seed
    values = pd.DataFrame([{"labels of": part, **describe(each)} for part, each in parts.items()])
    values = values.astype({"n": int})
    formats = {"n": "{:,}", "mean": "{:.6f}", "sd": "{:.6f}"}
    formats |= dict.fromkeys(("min", "25 %", "median", "75 %", "max"), "{:g}")
    return [
        Picture(
            f"{column}_histogram",
            figures.histogram(survey, seed),
            "Number of faces by label. Single values far above their neighbours were rounded, or "
            "are frequent in one source; the smooth line is their density."
            + (" Dashed: the labels of the seed study." if seed is not None else ""),
        ),
        Table(
            f"{column}_statistics",
            values,
            f"In {survey.target.unit}; sd with n − 1. The first line counts every row with a "
            "usable label, with or without a picture."
            + (" The seed study's are in src/data/seed_ages.csv." if seed is not None else ""),
            formats,
            muted=[len(values) - 1] if seed is not None else [],
        ),
        _bands(survey, f"{name} band", seed),
    ]


def _bands(survey: Survey, heading: str, seed: np.ndarray | None) -> Table:
    bands = survey.target.bands
    counts = band_counts(survey.labels, bands)
    names = [band_name(*band) for band in bands]
    values = pd.DataFrame({heading: names, "n": counts, "share": counts / counts.sum()})
    if seed is not None:
        values["seed study's share"] = band_counts(seed, bands) / len(seed)
    caption = f"Labels in each band, in {survey.target.unit}"
    if survey.has_pictures:
        caption += ", and the usable faces in each part of the split"
        for part in PARTS:
            values[part] = band_counts(survey.part(part)["label"].to_numpy(), bands)
    formats: Formats = {name: percent if "share" in name else "{:,}" for name in values.columns[1:]}
    return Table(f"{survey.target.column}_bands", values, f"{caption}.", formats)


def _pictures(survey: Survey) -> list[Block]:
    faces, name = survey.faces, survey.target.name
    conditions = (faces["is_gray"], faces["has_black_corner"], ~faces["shows_face"])
    flags = dict(zip(_TRAITS, conditions, strict=True))
    blocks: list[Block] = []
    if len(faces[["width", "height"]].drop_duplicates()) == 1:
        one = faces.iloc[0]
        blocks.append(Text(f"All pictures are {one['width']} × {one['height']} px."))
    else:
        blocks += [
            _sizes(faces),
            Picture(
                "sizes",
                figures.picture_sizes(survey),
                "Size of every file. Below and left of the cross, a picture is enlarged for the "
                "model and gains no detail; off the line, it is squeezed to a square.",
            ),
        ]
    return [
        *blocks,
        Picture(
            "light",
            figures.light(faces),
            "Light and sharpness of the original files; extreme pictures are shown below.",
        ),
        _measures(survey),
        *gallery.extremes(survey),
        Picture(
            "traits",
            figures.shares_by_band(survey, flags),
            f"Traits by {name}, with 95 % intervals. If a line is not flat, the trait correlates "
            f"with {name}, and a model may learn it in place of the face.",
        ),
        _traits(flags),
        *gallery.flagged(survey, flags),
    ]


def _sizes(faces: pd.DataFrame) -> Table:
    sizes = faces.groupby(["width", "height"]).size().sort_values(ascending=False, kind="stable")
    values = sizes.rename("faces").reset_index()
    values = values.rename(columns={"width": "width (px)", "height": "height (px)"})
    caption = f"The most frequent of {len(values):,} sizes."
    return Table("size_counts", values, caption, {"faces": "{:,}"}, values.head(10))


def _measures(survey: Survey) -> Table:
    heading = f"rank correlation with {survey.target.name}"
    columns = survey.faces[list(MEASURES)].astype(float)
    values = pd.DataFrame({"mean": columns.mean(), "sd": columns.std()})
    values[["5 %", "median", "95 %"]] = np.percentile(columns, [5, 50, 95], axis=0).T
    values[heading] = [rank_correlation(survey, name) for name in MEASURES]
    values["unit"] = list(MEASURES.values())
    values = values.reset_index(names="measure")
    formats = dict.fromkeys(("mean", "sd", "5 %", "median", "95 %"), "{:.1f}")
    return Table(
        "measures",
        values,
        "Of the original files. The rank correlation (Spearman) is 0 for a measure without "
        f"information on {survey.target.name}, ±1 for one that orders the faces by it.",
        {**formats, heading: lambda rho: f"{rho:+.2f}".replace("-", "−")},
    )


def _traits(flags: dict[str, pd.Series]) -> Table:
    shown = pd.DataFrame(flags)
    values = pd.DataFrame({"faces": shown.sum(), "share": shown.mean(), "rule": _TRAITS})
    values = values.reset_index(names="trait")
    return Table(
        "trait_shares",
        values,
        "Frequency of each trait. The face detector makes errors: it finds none in 5 % of aligned "
        "photographs. Of faces that it had found it missed 94 % tilted by 30°, 85 % with one half "
        "covered, 38 % with covered eyes, 20 % with a covered mouth. Its results for drawn faces "
        "are meaningless.",
        {"share": percent},
    )


def _split(survey: Survey) -> list[Block]:
    parts = [part for part in PARTS if len(survey.part(part))]
    first, *others = [survey.part(part)["label"].to_numpy() for part in parts]
    values = pd.DataFrame([describe(labels) for labels in (first, *others)])
    values = values.drop(columns=["min", "max"]).astype({"n": int})
    values.insert(0, "part", parts)
    values.insert(1, "share", values["n"] / len(survey.faces))
    values["distance"] = [np.nan, *(stats.ks_2samp(each, first).statistic for each in others)]
    values["by chance"] = [np.nan, *(chance_distance(len(each), len(first)) for each in others)]
    formats: Formats = {"share": percent, "n": "{:,}", "mean": "{:.2f}", "sd": "{:.1f}"}
    formats = {**formats, **dict.fromkeys(("25 %", "median", "75 %"), "{:g}"),
               **dict.fromkeys(("distance", "by chance"), "{:.4f}")}  # fmt: skip
    return [
        Picture(
            "split",
            figures.labels_by_part(survey),
            "Cumulative labels of the parts. If the lines coincide, the parts have the same "
            "distribution, and their errors can be compared.",
        ),
        Table(
            "parts",
            values,
            f"data.split.method={survey.data.split.method}. Distance: largest gap between a "
            f"part's line and that of {parts[0]} (Kolmogorov–Smirnov); by chance: a random split "
            "exceeds it in 1 of 20 cases.",
            formats,
        ),
    ]


def _faults(survey: Survey) -> list[Block]:
    blocks: list[Block] = [_findings(survey)]
    column, unit = survey.target.column, survey.target.unit
    if len(survey.conflicts):
        values = survey.conflicts.drop(columns="file_name").reset_index(names="rows")
        values["rows"] = values["rows"].str.removeprefix("rows ")
        formats = dict.fromkeys(("lowest", "highest", "difference"), "{:g}")
        caption = f"{len(values):,} pictures with several labels, in {unit}."
        table = Table("conflicting_duplicates", values, caption, formats)
        blocks += [table, gallery.conflicts(survey)]
    pairs = survey.near_duplicates
    if len(pairs):
        cells = pd.DataFrame(
            {
                heading: [f"{a:g}, {b:g}" if name == "label" else f"{a}, {b}" for a, b in
                          zip(pairs[f"{name}_1"], pairs[f"{name}_2"], strict=True)]
                for heading, name in (("rows", "row"), (column, "label"), ("parts", "split"))
            }
        )  # fmt: skip
        caption = (
            f"{len(pairs):,} pairs of near-duplicates: one photograph, stored at another size or "
            "quality (shrunk to 16 × 16 px they correlate with 0.995 or more)."
        )
        values = pairs.rename(columns=lambda name: name.replace("label", column))
        table = Table("near_duplicates", values, caption, shown=cells)
        blocks += [table, gallery.near_duplicates(survey)]
    return blocks


def _findings(survey: Survey) -> Block:
    findings = survey.findings
    if findings.empty:
        return Text(f"All {survey.num_rows:,} rows can be used, and none repeats another.")
    groups = findings.groupby(["reason", "action"], sort=False)["row"]
    cells = groups.agg(number="size", rows=_first_rows).reset_index()
    cells = cells.sort_values("number", ascending=False, kind="stable")
    return Table(
        "findings",
        findings.rename(columns={"label_text": survey.target.text_column}),
        "Rows that were dropped, or kept although remarkable, numbered from 1. Duplicates have the "
        "same bytes; conflicting ones have another label. The CSV lists every row.",
        {"number": "{:,}"},
        cells,
    )


def _first_rows(rows: pd.Series) -> str:
    shown = ", ".join(str(row) for row in rows.head(5))
    return f"{shown}, …" if len(rows) > 5 else shown
