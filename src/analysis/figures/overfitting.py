"""Learning curves, and what the gap costs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.analysis.figures.style import TRAIN, VAL, WIDTH, legend_below, one_axes, plotly_layout
from src.analysis.leaderboard import Leaderboard
from src.analysis.overfitting import Verdict
from src.analysis.study_data import StudyData
from src.records.trial import TrialRecord

MOST_CURVES = 24
_MARKERS = {Verdict.fits: "o", Verdict.overfits: "^", Verdict.underfit: "s",
            Verdict.diverged: "X", Verdict.unknown: "."}  # fmt: skip
_COLOURS = {Verdict.fits: "#009e73", Verdict.overfits: VAL, Verdict.underfit: TRAIN,
            Verdict.diverged: "0.2", Verdict.unknown: "0.5"}  # fmt: skip


def curves(study: StudyData, board: Leaderboard) -> Figure:
    """Each trial's training and validation MAE by epoch, the gap shaded; the best trials first."""
    ranked = [trial for row in board.leaders for trial in row.trials]
    known = {trial.run_id for trial in ranked}
    others = [t for t in study.trials if t.run_id not in known and len(study.curve(t))]
    shown = [*ranked, *others][:MOST_CURVES]
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    height = 1.1 + 1.55 * rows
    # A layout that is worked out takes longer than all the rest of a small report.
    figure = Figure(figsize=(WIDTH, height))
    figure.subplots_adjust(
        left=0.11, right=0.98, bottom=0.5 / height, top=1 - 0.55 / height, wspace=0.1, hspace=0.3
    )
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    top = _common_top(study, shown)
    for axes, trial in zip(grid.flat, shown, strict=False):
        _curve(axes, study, trial)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    grid[0, 0].set_ylim(0, top)
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    figure.text(0.545, 0.08 / height, "epoch", ha="center", fontsize=10)
    figure.text(0.01, 0.5, "MAE (years)", va="center", rotation="vertical", fontsize=10)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=4, fontsize=8, frameon=False)
    return figure


def gap_against_mae(study: StudyData) -> Figure:
    """Every compared trial: generalisation gap against validation MAE, with the Pareto front."""
    mae, gap = study.values("best/val_mae"), study.values("best/gap")
    verdicts = [study.verdict(trial) for trial in study.compared]
    figure, axes = one_axes(4.6)
    for verdict in Verdict:
        chosen = np.array([each is verdict for each in verdicts])
        if chosen.any():
            axes.plot(mae[chosen], gap[chosen], _MARKERS[verdict], color=_COLOURS[verdict],
                      markersize=8, alpha=0.8, label=str(verdict))  # fmt: skip
    front = pareto_front(mae, gap)
    axes.step(mae[front], gap[front], where="post", color="0.2", linestyle="--", linewidth=1.2,
              label="Pareto front")  # fmt: skip
    if len(mae) <= 30:
        for trial, x, y in zip(study.compared, mae, gap, strict=True):
            axes.annotate(str(trial.number or ""), (x, y), textcoords="offset points",
                          xytext=(5, 4), fontsize=8)  # fmt: skip
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set(xlabel="best validation MAE (years)", ylabel="generalisation gap (years)")
    axes.grid(alpha=0.3)
    legend_below(figure, axes)
    return figure


def gap_against_mae_interactive(study: StudyData) -> dict[str, Any]:
    """The same, with each trial's configuration where the pointer is."""
    symbols = {Verdict.fits: "circle", Verdict.overfits: "triangle-up",
               Verdict.underfit: "square", Verdict.diverged: "x",
               Verdict.unknown: "circle-open"}  # fmt: skip
    plotly = {Verdict.diverged: "#333333", Verdict.unknown: "#808080"}
    mae, gap = study.values("best/val_mae"), study.values("best/gap")
    verdicts = [study.verdict(trial) for trial in study.compared]
    data = []
    for verdict in Verdict:
        chosen = [place for place, each in enumerate(verdicts) if each is verdict]
        if chosen:
            data.append({
                "type": "scatter", "mode": "markers", "name": str(verdict),
                "x": mae[chosen].tolist(), "y": gap[chosen].tolist(),
                "text": [_hover(study, study.compared[place]) for place in chosen],
                "hovertemplate": "%{text}<br>MAE %{x:.2f}, gap %{y:+.2f} years<extra></extra>",
                "marker": {"symbol": symbols[verdict], "size": 10, "opacity": 0.8,
                           "color": plotly.get(verdict, _COLOURS[verdict])},
            })  # fmt: skip
    front = pareto_front(mae, gap)
    data.append({"type": "scatter", "mode": "lines", "name": "Pareto front",
                 "x": mae[front].tolist(), "y": gap[front].tolist(), "hoverinfo": "skip",
                 "line": {"shape": "hv", "dash": "dash", "color": "#333333"}})  # fmt: skip
    layout = plotly_layout(420) | {
        "xaxis": {"title": {"text": "best validation MAE (years)"}},
        "yaxis": {"title": {"text": "generalisation gap (years)"}},
        "legend": {"orientation": "h", "y": -0.25},
    }
    return {"data": data, "layout": layout}


def pareto_front(mae: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Indices of trials that no other one beats in both, by rising MAE."""
    front: list[int] = []
    lowest = math.inf
    for place in np.lexsort((gap, mae)):
        if gap[place] < lowest:
            front.append(int(place))
            lowest = float(gap[place])
    return np.array(front, int)


def _common_top(study: StudyData, shown: Sequence[TrialRecord]) -> float:
    """Years that all curves fit under, but for outbursts: twice what no model would reach."""
    values = [study.curve(trial)[["mae/train", "mae/val"]].to_numpy().ravel() for trial in shown]
    together = np.concatenate(values)
    finite = together[np.isfinite(together)]
    if not len(finite):
        return 1.0
    baselines = study.values("val/median_predictor_mae")
    outburst = 2 * float(np.nanmax(baselines)) if np.isfinite(baselines).any() else np.inf
    return min(float(finite.max()), outburst) * 1.05


def _curve(axes: Axes, study: StudyData, trial: TrialRecord) -> None:
    curve = study.curve(trial)
    found = study.overfitting[trial.run_id]
    epochs, train, val = (curve[key].to_numpy() for key in ("epoch", "mae/train", "mae/val"))
    axes.fill_between(epochs, train, val, color="0.85", label="gap")
    dots = "." if len(epochs) < 3 else ""
    axes.plot(epochs, train, color=TRAIN, linestyle="--", marker=dots, label="training faces")
    axes.plot(epochs, val, color=VAL, marker=dots, label="validation faces")
    if len(val) and np.isfinite(val).any():
        best = int(np.nanargmin(val))
        axes.plot(epochs[best], val[best], "*", color=VAL, markersize=9, label="best epoch")
    if found.onset_epoch is not None:
        axes.axvline(found.onset_epoch, color="0.4", linestyle=":", linewidth=1)
    number = trial.number if trial.number is not None else trial.name
    state = "" if trial in study.compared else f", {trial.state.lower()}"
    axes.set_title(f"{number}: {found.verdict}{state}", fontsize=9)
    axes.grid(alpha=0.25)


def _hover(study: StudyData, trial: TrialRecord) -> str:
    words = [f"{key.rpartition('.')[2]} {trial.params.get(key, '')}" for key in study.keys]
    if "seed" in trial.params:
        words.append(f"seed {trial.params['seed']}")
    return f"trial {trial.number}<br>" + "<br>".join(words)
