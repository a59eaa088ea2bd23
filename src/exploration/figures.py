"""Pictures of a data set, as wide as a column of print and legible in gray."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from src.config.schema import AGE_BANDS
from src.data.splits import PARTS
from src.exploration.ages import band_counts, band_names, bands_of

_DARK, _MIDDLE, _LIGHT = "#0b3c5d", "#009e73", "#e69f00"  # distinct in gray and to the colour-blind
_WIDTH = 6.4  # in


def age_histogram(ages: np.ndarray, seed_ages: np.ndarray) -> Figure:
    """Faces for each whole year, the density over it, and the seed study's on the same scale."""
    figure = Figure(figsize=(_WIDTH, 3.9), layout="constrained")
    axes = figure.subplots()
    years = np.floor(ages).astype(int)
    counts = np.bincount(years)
    axes.bar(np.arange(len(counts)), counts, width=1, color="0.82", edgecolor="0.65",
             linewidth=0.4, label="this data set, each year")  # fmt: skip
    _density(axes, years, len(ages), color=_LIGHT, linestyle="-", linewidth=3.5,
             label="its density")  # fmt: skip
    _density(axes, seed_ages, len(ages), color=_DARK, linestyle="--", linewidth=1.6,
             label=f"seed study ({len(seed_ages):,} labels), same scale")  # fmt: skip
    for low, _ in AGE_BANDS[1:]:
        axes.axvline(low - 0.5, color="0.45", linewidth=0.7, linestyle=":", zorder=0)
    axes.set(xlabel="age (years); dotted: age bands", ylabel="faces",
             xlim=(-1, max(years.max(), seed_ages.max()) + 2))  # fmt: skip
    axes.legend()
    return figure


def ages_by_part(faces: pd.DataFrame) -> Figure:
    """The cumulative share of faces up to each age, for each part of the split."""
    figure = Figure(figsize=(_WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    # Lines that lie on each other: the lowest is the widest.
    styles = {"train": (_LIGHT, "-", 5), "val": (_DARK, "--", 2), "test": ("black", ":", 2)}
    for part in PARTS:
        ages = np.sort(faces.loc[faces["split"] == part, "age"].to_numpy())
        if len(ages):
            color, linestyle, width = styles[part]
            axes.step(ages, np.arange(1, len(ages) + 1) / len(ages), where="post", color=color,
                      linestyle=linestyle, linewidth=width,
                      label=f"{part}, {len(ages):,} faces")  # fmt: skip
    axes.set(xlabel="age (years)", ylabel="share of faces up to this age", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def picture_sizes(faces: pd.DataFrame, image_size: int) -> Figure:
    """Width and height of every picture, beside the square that the model sees."""
    figure = Figure(figsize=(_WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    sizes = faces.groupby(["width", "height"]).size().reset_index(name="faces")
    axes.scatter(sizes["width"], sizes["height"], s=12 + 3 * np.sqrt(sizes["faces"]), color=_DARK,
                 alpha=0.5, linewidths=0, label="a size; the larger, the more faces")  # fmt: skip
    ends = np.array(
        [sizes[["width", "height"]].min().min(), sizes[["width", "height"]].max().max()]
    )
    axes.plot(ends, ends, color="0.5", linewidth=0.8, label="square")
    axes.plot([image_size], [image_size], "x", color=_LIGHT, markersize=10, markeredgewidth=2,
              label=f"data.image_size={image_size}")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="width (px)", ylabel="height (px)")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def light(faces: pd.DataFrame) -> Figure:
    """How bright, contrasty and sharp the pictures are."""
    figure = Figure(figsize=(_WIDTH, 6.6), layout="constrained")
    panels = figure.subplots(3)
    labels = {
        "brightness": "brightness (mean luminance, 0–255)",
        "contrast": "contrast (sd of luminance)",
        "sharpness": "sharpness (variance of the Laplacian)",
    }
    for axes, (name, label) in zip(panels, labels.items(), strict=True):
        values = faces[name].to_numpy()
        bins: np.ndarray | int = 40
        if name == "sharpness" and values.min() > 0 and np.ptp(values) > 0:
            bins = np.geomspace(values.min(), values.max(), 41)
            axes.set_xscale("log")
        axes.hist(values, bins=bins, color="0.8", edgecolor="0.6", linewidth=0.4)
        for share, linestyle in ((5, "--"), (50, "-"), (95, "-.")):
            place = float(np.percentile(values, share))
            axes.axvline(place, color=_DARK, linestyle=linestyle, label=f"{share} %: {place:.3g}")
        axes.set(xlabel=label, ylabel="faces")
        axes.legend(title="so many lie below")
    return figure


def shares_by_band(faces: pd.DataFrame, flags: Mapping[str, pd.Series]) -> Figure:
    """The share of faces with a trait in each age band, with its 95 % interval (Wilson 1927)."""
    figure = Figure(figsize=(_WIDTH, 3.9), layout="constrained")
    axes = figure.subplots()
    ages = faces["age"].to_numpy()
    totals, bands = band_counts(ages), bands_of(ages)
    present = np.flatnonzero(totals)
    styles = ((_DARK, "o", "-"), (_LIGHT, "s", "--"), (_MIDDLE, "^", ":"))
    offsets = np.linspace(-0.15, 0.15, len(flags))
    for offset, (color, marker, linestyle), (name, flag) in zip(
        offsets, styles, flags.items(), strict=False
    ):
        counts = np.bincount(bands[flag.to_numpy()], minlength=len(totals))
        shares = counts[present] / totals[present]
        ends = [
            stats.binomtest(int(counts[b]), int(totals[b])).proportion_ci(method="wilson")
            for b in present
        ]
        below = np.clip(shares - [end.low for end in ends], 0, None)
        above = np.clip([end.high for end in ends] - shares, 0, None)
        axes.errorbar(present + offset, 100 * shares, yerr=100 * np.array([below, above]),
                      color=color, marker=marker, linestyle=linestyle, linewidth=1, capsize=2,
                      label=name)  # fmt: skip
    axes.set_xticks(present, [band_names()[band] for band in present])
    axes.set(xlabel="age band (years)", ylabel="share of its faces (%)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _density(axes: Axes, ages: np.ndarray, total: int, **style: Any) -> None:
    """A Gaussian kernel density (Scott's bandwidth), scaled to faces a year.

    One age alone has no width to spread it by.
    """
    if len(np.unique(ages)) < 2:
        return
    places = np.linspace(0, ages.max() + 2, 400)
    axes.plot(places, stats.gaussian_kde(ages)(places) * total, **style)
