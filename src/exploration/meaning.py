"""What a data set means for training on it, in sentences that follow from its numbers."""

from collections.abc import Iterator

import numpy as np

from src.config.schema import DataConfig
from src.core.metrics import baseline_metrics
from src.data.inspection import MEASURES
from src.exploration.ages import band_counts, band_names, heaping
from src.exploration.survey import Survey

_THIN = 50  # faces; the 95 % interval of a band's MAE is then about ±1.4 years (sd of errors 5)
_MANY_ROUNDED = 0.25  # of ages end in 0 or 5; 0.2 would without rounding
_NOTABLE = 0.15  # rank correlation with age


def meaning(survey: Survey, data: DataConfig) -> list[str]:
    """The sentences, each of plain Markdown; those that do not apply are left out."""
    sentences = [*_about_ages(survey.ages)]
    if survey.has_pictures:
        sentences += [*_about_split(survey), *_about_pictures(survey, data)]
    return [*sentences, *_about_faults(survey, data)]


def percent(share: float | np.floating) -> str:
    """A share in one form for the whole page."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _about_ages(ages: np.ndarray) -> Iterator[str]:
    children, old = np.mean(ages < 13), np.mean(ages >= 60)
    middle = np.percentile(ages, [25, 75])
    yield (
        f"Half of the faces are {middle[0]:g} to {middle[1]:g} years old, {percent(children)} are "
        f"under 13 and {percent(old)} are 60 or more. A model is drawn to where the faces are: "
        "read its errors and its bias by age band."
    )
    rounded = heaping(ages)
    if rounded > _MANY_ROUNDED:
        yield (
            f"{percent(rounded)} of the ages end in 0 or 5, where {percent(0.2)} would without "
            "rounding: some labels are rounded, and no error can honestly fall below that."
        )


def _about_split(survey: Survey) -> Iterator[str]:
    train, val = (survey.part(part)["age"].to_numpy() for part in ("train", "val"))
    if not len(train) or not len(val):
        yield "The training or the validation part of the split is empty; training would stop."
        return
    guess = baseline_metrics(train, val)["median_predictor_mae"]
    yield (
        f"Always guessing the training part's median age, {np.median(train):g} years, costs "
        f"{guess:.2f} years on the validation part. A model that does not beat that has learnt "
        "nothing."
    )
    counts = band_counts(val)
    thin = [f"{name} ({n})" for name, n in zip(band_names(), counts, strict=True) if n < _THIN]
    if thin:
        yield (
            f"The validation part has fewer than {_THIN} faces in the age bands {', '.join(thin)}: "
            "errors there are unsure by more than a year."
        )


def _about_pictures(survey: Survey, data: DataConfig) -> Iterator[str]:
    faces = survey.faces
    small = np.mean(faces[["width", "height"]].max(axis=1) < data.image_size)
    if small:
        largest = int(faces[["width", "height"]].max(axis=1).median())
        how_many = "All" if small == 1 else f"{percent(small)} of the"
        yield (
            f"{how_many} pictures are smaller than "
            f"data.image_size={data.image_size} px; enlarging them adds cost, not detail (median "
            f"of their longer edge: {largest} px)."
        )
    telling = {
        name: faces[name].corr(faces["age"], method="spearman")
        for name in MEASURES
        if faces[name].nunique() > 1 and faces["age"].nunique() > 1
    }
    words = [
        f"{name} ({rho:+.2f})".replace("-", "−")
        for name, rho in telling.items()
        if abs(rho) >= _NOTABLE
    ]
    if words:
        yield (
            f"What goes with age without being a face (rank correlation): {', '.join(words)}. "
            "A model may learn it as a shortcut; augmentation.brightness and contrast work against "
            "the light."
        )


def _about_faults(survey: Survey, data: DataConfig) -> Iterator[str]:
    if survey.bad_fraction > 0:
        stops = survey.bad_fraction > data.max_bad_fraction
        yield (
            f"{percent(survey.bad_fraction)} of the {survey.num_rows:,} rows cannot be used, "
            + ("more than" if stops else "within")
            + f" data.max_bad_fraction={data.max_bad_fraction:g}"
            + (": training would stop." if stops else ".")
        )
    conflicts = survey.findings.query("reason == 'conflicting_duplicate'")
    if len(conflicts):
        ages = conflicts["age_text"].astype(float).groupby(conflicts["detail"])
        apart = ages.max() - ages.min()
        yield (
            f"{len(apart):,} pictures carry more than one age, {apart.median():g} years apart in "
            f"the median and up to {apart.max():g}: the labels are that unsure, and such rows are "
            + ("dropped." if (conflicts["action"] == "dropped").all() else "kept.")
        )
    pairs = survey.look_alikes
    if len(pairs):
        across = int((pairs["split_1"] != pairs["split_2"]).sum())
        yield (
            f"Pairs of faces that are one photograph in different bytes: {len(pairs):,}; split "
            f"between parts, where they make a model look better than it is: {across:,}."
        )
