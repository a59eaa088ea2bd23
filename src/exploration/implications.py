"""Implications of a data set for training, in sentences derived from its statistics."""

from collections.abc import Iterator

import numpy as np

from src.core.metrics import band_name, baseline_metrics
from src.data.inspection import MEASURES
from src.exploration.labels import band_counts, heaping
from src.exploration.survey import Survey

_MIN_FACES = 50  # of a band; the 95 % interval of its MAE is then about ±0.28 sd of the errors
_MAX_HEAPING = 0.25  # of labels end in 0 or 5; without rounding 0.2 would
_NOTABLE = 0.15  # rank correlation with the label


def implications(survey: Survey) -> list[str]:
    """Returns the sentences that apply, each in plain Markdown."""
    sentences = [*_of_labels(survey)]
    if survey.has_pictures:
        sentences += [*_of_split(survey), *_of_pictures(survey)]
    return [*sentences, *_of_faults(survey)]


def percent(share: float | np.floating) -> str:
    """Returns a share in percent with one decimal."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def rank_correlation(survey: Survey, measure: str) -> float:
    """Returns the rank correlation (Spearman) of a measure with the label; NaN for a constant."""
    values, labels = survey.faces[measure], survey.faces["label"]
    if min(values.nunique(), labels.nunique()) < 2:
        return float("nan")
    return float(values.corr(labels, method="spearman"))


def _of_labels(survey: Survey) -> Iterator[str]:
    name, unit = survey.target.name, survey.target.unit
    low, first, third, high = np.percentile(survey.labels, [5, 25, 75, 95])
    yield (
        f"Half of the labels are between {first:g} and {third:g} {unit}, 5 % are below {low:g} and "
        f"5 % above {high:g}. A model predicts towards the frequent labels: examine its errors "
        f"and its bias by {name} band."
    )
    rounded = heaping(survey.labels)
    if rounded > _MAX_HEAPING:
        yield (
            f"{percent(rounded)} of the labels end in 0 or 5; without rounding {percent(0.2)} "
            "would. Some labels are rounded, which limits the smallest possible error."
        )


def _of_split(survey: Survey) -> Iterator[str]:
    name, unit = survey.target.name, survey.target.unit
    train, val = (survey.part(part)["label"].to_numpy() for part in ("train", "val"))
    if not len(train) or not len(val):
        yield "The training or the validation part of the split is empty; training would stop."
        return
    error = baseline_metrics(train, val)["median_predictor_mae"]
    yield (
        f"Always predicting the median {name} of the training part, {np.median(train):g} {unit}, "
        f"has a validation MAE of {error:.2f} {unit}. A useful model must be better."
    )
    counts = zip(survey.target.bands, band_counts(val, survey.target.bands), strict=True)
    thin = [f"{band_name(*band)} ({n})" for band, n in counts if n < _MIN_FACES]
    if thin:
        yield (
            f"The validation part has fewer than {_MIN_FACES} faces in the {name} bands "
            f"{', '.join(thin)}: errors there are uncertain."
        )


def _of_pictures(survey: Survey) -> Iterator[str]:
    edges = survey.faces[["width", "height"]].max(axis=1)
    small = np.mean(edges < survey.data.image_size)
    if small:
        yield (
            f"{'All' if small == 1 else f'{percent(small)} of the'} pictures are smaller than "
            f"data.image_size={survey.data.image_size} px; enlarging them adds cost, not detail "
            f"(median of their longer edge: {int(edges.median())} px)."
        )
    correlations = {name: rank_correlation(survey, name) for name in MEASURES}
    words = [
        f"{name} ({rho:+.2f})".replace("-", "−")
        for name, rho in correlations.items()
        if abs(rho) >= _NOTABLE
    ]
    if words:
        yield (
            f"Properties of the pictures correlate with {survey.target.name} (rank correlation): "
            f"{', '.join(words)}. A model may learn them as a shortcut; augmentation.brightness "
            "and augmentation.contrast reduce the influence of light."
        )


def _of_faults(survey: Survey) -> Iterator[str]:
    limit = survey.data.max_bad_fraction
    if survey.bad_fraction > 0:
        stops = survey.bad_fraction > limit
        yield (
            f"{percent(survey.bad_fraction)} of the {survey.num_rows:,} rows cannot be used, "
            f"{'more than' if stops else 'within'} data.max_bad_fraction={limit:g}"
            f"{': training would stop' if stops else ''}."
        )
    conflicts, findings = survey.conflicts, survey.findings
    if len(conflicts):
        difference = conflicts["difference"]
        dropped = findings.query("reason == 'conflicting_duplicate'")["action"] == "dropped"
        yield (
            f"{len(conflicts):,} pictures have several labels, {difference.median():g} "
            f"{survey.target.unit} apart in the median and up to {difference.max():g}: labels are "
            f"uncertain by that much. Such rows are {'dropped' if dropped.all() else 'kept'}."
        )
    pairs = survey.near_duplicates
    if len(pairs):
        across = int((pairs["split_1"] != pairs["split_2"]).sum())
        yield (
            f"Pairs of near-duplicates (one photograph in different bytes): {len(pairs):,}. "
            f"Divided between parts, where they make validation errors too low: {across:,}."
        )
