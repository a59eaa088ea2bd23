"""Figures of a data set, one column wide and legible in gray."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from src.core.metrics import band_name
from src.data.splits import PARTS
from src.exploration.labels import band_counts
from src.exploration.survey import Survey

_DARK, _MIDDLE, _LIGHT = "#0b3c5d", "#009e73", "#e69f00"  # distinct in gray and to the colour-blind
_WIDTH = 6.4  # in


def histogram(survey: Survey, seed: np.ndarray | None) -> Figure:
    """Returns the number of labels by whole unit, their density, and that of the seed study."""
    figure, axes = _axes(3.9)
    labels, target = survey.labels, survey.target
    units = np.floor(labels).astype(int)
    values, counts = np.unique(units, return_counts=True)
    axes.bar(values, counts, width=1, color="0.82", edgecolor="0.65",
             linewidth=0.4, label="this data set, each whole number")  # fmt: skip
    _density(axes, units, len(labels), color=_LIGHT, linestyle="-", linewidth=3.5,
             label="its density")  # fmt: skip
    if seed is not None:
        _density(axes, seed, len(labels), color=_DARK, linestyle="--", linewidth=1.6,
                 label=f"seed study ({len(seed):,} labels), same scale")  # fmt: skip
    for low, _ in target.bands[1:]:
        axes.axvline(low - 0.5, color="0.45", linewidth=0.7, linestyle=":", zorder=0)
    ends = units if seed is None else np.concatenate([units, seed])
    margin = max(0.02 * np.ptp(ends), 1)
    axes.set(xlabel=f"{_label(survey)}; dotted: bands", ylabel="faces",
             xlim=(ends.min() - margin, ends.max() + margin))  # fmt: skip
    axes.legend()
    return figure


def labels_by_part(survey: Survey) -> Figure:
    """Returns the cumulative share of faces by label, for each part of the split."""
    figure, axes = _axes(3.6)
    # The lines coincide in a good split: the lowest is the widest.
    styles = {"train": (_LIGHT, "-", 5), "val": (_DARK, "--", 2), "test": ("black", ":", 2)}
    for part in PARTS:
        labels = np.sort(survey.part(part)["label"].to_numpy())
        if len(labels):
            color, linestyle, width = styles[part]
            axes.step(labels, np.arange(1, len(labels) + 1) / len(labels), where="post",
                      color=color, linestyle=linestyle, linewidth=width,
                      label=f"{part}, {len(labels):,} faces")  # fmt: skip
    axes.set(xlabel=_label(survey), ylabel="cumulative share of faces", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def picture_sizes(survey: Survey) -> Figure:
    """Returns width and height of every picture, beside the input size of the model."""
    figure, axes = _axes(4.4)
    sizes = survey.faces.groupby(["width", "height"]).size().reset_index(name="faces")
    axes.scatter(sizes["width"], sizes["height"], s=12 + 3 * np.sqrt(sizes["faces"]), color=_DARK,
                 alpha=0.5, linewidths=0, label="a size; area by number of faces")  # fmt: skip
    edges = sizes[["width", "height"]].to_numpy()
    ends, image_size = [edges.min(), edges.max()], survey.data.image_size
    axes.plot(ends, ends, color="0.5", linewidth=0.8, label="square")
    axes.plot([image_size], [image_size], "x", color=_LIGHT, markersize=10, markeredgewidth=2,
              label=f"data.image_size={image_size}")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="width (px)", ylabel="height (px)")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def light(faces: pd.DataFrame) -> Figure:
    """Returns histograms of brightness, contrast and sharpness."""
    figure = Figure(figsize=(_WIDTH, 6.6), layout="constrained")
    labels = {
        "brightness": "brightness (mean luminance, 0–255)",
        "contrast": "contrast (sd of luminance)",
        "sharpness": "sharpness (variance of the Laplacian)",
    }
    for axes, (name, label) in zip(figure.subplots(3), labels.items(), strict=True):
        values = faces[name].to_numpy()
        bins: np.ndarray | int = 40
        if name == "sharpness" and values.min() > 0 and np.ptp(values) > 0:
            bins = np.geomspace(values.min(), values.max(), 41)
            axes.set_xscale("log")
        axes.hist(values, bins=bins, color="0.8", edgecolor="0.6", linewidth=0.4)
        for share, linestyle in ((5, "--"), (50, "-"), (95, "-.")):
            value = float(np.percentile(values, share))
            axes.axvline(value, color=_DARK, linestyle=linestyle, label=f"{share} %: {value:.3g}")
        axes.set(xlabel=label, ylabel="faces")
        axes.legend(title="percentiles")
    return figure


def shares_by_band(survey: Survey, flags: Mapping[str, pd.Series]) -> Figure:
    """Returns the share of faces with a trait by band, with 95 % intervals (Wilson 1927)."""
    figure, axes = _axes(3.9)
    bands, labels = survey.target.bands, survey.faces["label"].to_numpy()
    totals = band_counts(labels, bands)
    present = np.flatnonzero(totals)
    styles = ((_DARK, "o", "-"), (_LIGHT, "s", "--"), (_MIDDLE, "^", ":"))
    offsets = np.linspace(-0.15, 0.15, len(flags))
    for offset, (color, marker, linestyle), (name, flag) in zip(
        offsets, styles, flags.items(), strict=False
    ):
        counts = band_counts(labels[flag.to_numpy()], bands)
        shares = counts[present] / totals[present]
        ends = [
            stats.binomtest(int(counts[b]), int(totals[b])).proportion_ci(method="wilson")
            for b in present
        ]
        low, high = np.transpose([(end.low, end.high) for end in ends])
        halves = np.clip([shares - low, high - shares], 0, None)
        axes.errorbar(present + offset, 100 * shares, yerr=100 * halves,
                      color=color, marker=marker, linestyle=linestyle, linewidth=1, capsize=2,
                      label=name)  # fmt: skip
    axes.set_xticks(present, [band_name(*bands[band]) for band in present])
    axes.set(xlabel=_label(survey), ylabel="share of faces in the band (%)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _label(survey: Survey) -> str:
    return f"{survey.target.name} ({survey.target.unit})"


def _density(axes: Axes, labels: np.ndarray, total: int, **style: Any) -> None:
    """Draws a Gaussian kernel density (Scott's bandwidth), in faces per unit.

    Equal labels have no bandwidth and are not drawn.
    """
    if np.ptp(labels):
        positions = np.linspace(min(0, labels.min()), labels.max() + 2, 400)
        axes.plot(positions, stats.gaussian_kde(labels)(positions) * total, **style)
