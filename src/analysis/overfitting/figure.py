"""Learning curves and generalisation gaps."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.analysis.formatting import short, with_unit
from src.analysis.leaderboard.numbers import Leaderboard
from src.analysis.overfitting.numbers import Verdict
from src.analysis.study_data import StudyData
from src.analysis.style import TRAIN, VAL, WIDTH, legend_below, one_axes, plotly_layout
from src.core import names
from src.records.trial import TrialRecord

MAX_CURVES = 24
_MARKERS = {Verdict.fits: "o", Verdict.overfits: "^", Verdict.underfit: "s",
            Verdict.diverged: "X", Verdict.unknown: "."}  # fmt: skip
_SYMBOLS = {Verdict.fits: "circle", Verdict.overfits: "triangle-up", Verdict.underfit: "square",
            Verdict.diverged: "x", Verdict.unknown: "circle-open"}  # fmt: skip
_COLOURS = {Verdict.fits: "#009e73", Verdict.overfits: VAL, Verdict.underfit: TRAIN,
            Verdict.diverged: "#333333", Verdict.unknown: "#808080"}  # fmt: skip


def curves(study: StudyData, board: Leaderboard) -> Figure:
    """Returns training and validation MAE by epoch, the gap shaded; the best trials first."""
    ranked = [trial for row in board.leaders for trial in row.trials]
    known = {trial.run_id for trial in ranked}
    others = [t for t in study.trials if t.run_id not in known and len(study.curve(t))]
    shown = [*ranked, *others][:MAX_CURVES]
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    height = 1.1 + 1.55 * rows
    # Matplotlib's constrained layout takes longer than all the rest of a small report.
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
    label = with_unit("MAE", study.terms.target.unit)
    figure.text(0.01, 0.5, label, va="center", rotation="vertical", fontsize=10)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=4, fontsize=8, frameon=False)
    return figure


def gap_against_mae(study: StudyData) -> Figure:
    """Returns the generalisation gap against the validation MAE, with the Pareto front."""
    mae, gap = study.values(names.BEST_VAL_MAE), study.values(names.BEST_GAP)
    figure, axes = one_axes(4.6)
    for verdict, chosen in _by_verdict(study).items():
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
    axes.set(**dict(zip(("xlabel", "ylabel"), _gap_labels(study), strict=True)))
    axes.grid(alpha=0.3)
    legend_below(figure, axes)
    return figure


def gap_against_mae_interactive(study: StudyData) -> dict[str, Any]:
    """Returns the same for Plotly, with each trial's configuration at the pointer."""
    mae, gap = study.values(names.BEST_VAL_MAE), study.values(names.BEST_GAP)
    text = f"%{{text}}<br>MAE %{{x:.2f}}, gap %{{y:+.2f}} {study.terms.target.unit}<extra></extra>"
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "markers", "name": str(verdict),
            "x": mae[chosen].tolist(), "y": gap[chosen].tolist(),
            "text": [_hover(study, study.compared[index]) for index in chosen],
            "hovertemplate": text,
            "marker": {"symbol": _SYMBOLS[verdict], "size": 10, "opacity": 0.8,
                       "color": _COLOURS[verdict]},
        }
        for verdict, chosen in _by_verdict(study).items()
    ]  # fmt: skip
    front = pareto_front(mae, gap)
    data.append({"type": "scatter", "mode": "lines", "name": "Pareto front",
                 "x": mae[front].tolist(), "y": gap[front].tolist(), "hoverinfo": "skip",
                 "line": {"shape": "hv", "dash": "dash", "color": "#333333"}})  # fmt: skip
    across, up = _gap_labels(study)
    layout = plotly_layout(420) | {
        "xaxis": {"title": {"text": across}},
        "yaxis": {"title": {"text": up}},
        "legend": {"orientation": "h", "y": -0.25},
    }
    return {"data": data, "layout": layout}


def pareto_front(mae: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Returns the indices of trials that no other one is better than in both, by rising MAE."""
    order = np.lexsort((gap, mae))
    lowest_before = np.fmin.accumulate([math.inf, *gap[order]])[:-1]
    return order[gap[order] < lowest_before]


def _by_verdict(study: StudyData) -> dict[Verdict, list[int]]:
    """Returns the indices of the compared trials by verdict, without empty ones."""
    verdicts = [study.overfitting[trial.run_id].verdict for trial in study.compared]
    found = {each: [i for i, its in enumerate(verdicts) if its is each] for each in Verdict}
    return {verdict: chosen for verdict, chosen in found.items() if chosen}


def _gap_labels(study: StudyData) -> list[str]:
    unit = study.terms.target.unit
    return [with_unit(label, unit) for label in ("best validation MAE", "generalisation gap")]


def _common_top(study: StudyData, shown: Sequence[TrialRecord]) -> float:
    """Returns the upper end of the axis: the greatest error, at most twice the baseline's."""
    keys = [names.TRAIN_MAE, names.VAL_MAE]
    errors = np.concatenate([study.curve(trial)[keys].to_numpy() for trial in shown])
    finite = errors[np.isfinite(errors)]
    if not len(finite):
        return 1.0
    limit = 2 * np.fmax.reduce(study.values(names.MEDIAN_PREDICTOR_MAE), initial=np.nan)
    return float(np.fmin(finite.max(), limit)) * 1.05


def _curve(axes: Axes, study: StudyData, trial: TrialRecord) -> None:
    curve = study.curve(trial)
    found = study.overfitting[trial.run_id]
    epochs, train, val = (
        curve[key].to_numpy() for key in (names.EPOCH, names.TRAIN_MAE, names.VAL_MAE)
    )
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
    words = [f"{short(key)} {trial.params.get(key, '')}" for key in study.keys]
    if "seed" in trial.params:
        words.append(f"seed {trial.params['seed']}")
    return f"trial {trial.number}<br>" + "<br>".join(words)
