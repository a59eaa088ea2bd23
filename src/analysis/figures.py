"""Pictures of a study; each can be read in gray, on a phone, and without its text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.analysis.effects import LABELS, UNITS, Effect, Effects
from src.analysis.faces import FaceErrors
from src.analysis.leaderboard import Leader, Leaderboard
from src.analysis.overfitting import Verdict
from src.analysis.study_data import StudyData
from src.config.schema import ClaimOutcome
from src.tracking.study import TrialRecord

TRAIN, VAL, QUIET = "#0072b2", "#d55e00", "0.55"  # the first two differ in gray, too
MARKERS = {Verdict.fits: "o", Verdict.overfits: "^", Verdict.underfit: "s", Verdict.diverged: "X",
           Verdict.unknown: "."}  # fmt: skip
_COLOURS = {Verdict.fits: "#009e73", Verdict.overfits: VAL, Verdict.underfit: TRAIN,
            Verdict.diverged: "0.2", Verdict.unknown: "0.5"}  # fmt: skip
_WIDTH = 5.4  # inches; at this width, type of 10 points can be read on a phone
MOST_LEADERS = 25
MOST_CURVES = 24
MOST_FACTORS = 6


def name_of(configuration: Mapping[str, str]) -> str:
    """A configuration in a line."""
    words = [f"{key.rpartition('.')[2]} {value}" for key, value in configuration.items()]
    return ", ".join(words) or "the only configuration"


def leaders(board: Leaderboard, baselines: Mapping[str, float]) -> Figure:
    """Validation MAE with its interval, best on top, and what no model would reach.

    Args:
        board: With at least one leader.
        baselines: Other errors to compare with, years, by name.
    """
    rows = board.leaders[:MOST_LEADERS]
    names = [_short_name(row) for row in rows]
    figure, axes = _figure(1.5 + 0.3 * len(rows), names)
    for place, row in enumerate(rows):
        half = [[max(row.val_mae - row.low, 0)], [max(row.high - row.val_mae, 0)]]
        axes.errorbar(row.val_mae, place, xerr=None if math.isnan(row.low) else half,
                      fmt="o" if row.could_be_best else "s", capsize=3,
                      fillstyle="full" if row.could_be_best else "none", markersize=6,
                      color=VAL if row.could_be_best else QUIET)  # fmt: skip
    for (name, value), dash in zip(baselines.items(), ("--", ":", "-."), strict=False):
        axes.axvline(value, color="0.3", linestyle=dash, label=f"{name}: {value:.2f}")
    axes.plot([], [], "o", color=VAL, label="could be the best")
    if not all(row.could_be_best for row in rows):
        axes.plot([], [], "s", color=QUIET, fillstyle="none", label="worse than the best")
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.invert_yaxis()
    keys = " · ".join(key.rpartition(".")[2] for key in rows[0].configuration)
    axes.set_title(keys, loc="right", fontsize=9)
    axes.set_xlabel("validation MAE (years), 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    _legend_below(figure, axes)
    return figure


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
    figure = Figure(figsize=(_WIDTH, height))
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
    figure, axes = _figure(4.6)
    for verdict in Verdict:
        chosen = np.array([each is verdict for each in verdicts])
        if chosen.any():
            axes.plot(mae[chosen], gap[chosen], MARKERS[verdict], color=_COLOURS[verdict],
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
    _legend_below(figure, axes)
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
    layout = _layout(420) | {
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


def effects_forest(effects: Effects, outcome: ClaimOutcome) -> Figure:
    """Each change of a hyperparameter with its effect on one outcome and its interval."""
    rows = [each for each in effects.effects if each.outcome is outcome]
    changes = [_change(effect) for effect in rows]
    figure, axes = _figure(1.5 + 0.42 * len(rows), changes)
    for place, effect in enumerate(rows):
        _effect_line(axes, place, effect)
    axes.axvline(0, color="0.2", linewidth=1)
    axes.set_yticks(range(len(rows)), changes, fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"effect on {LABELS[outcome]} ({UNITS[outcome]}), 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    axes.plot([], [], "o", color=VAL, label="stands after correction")
    axes.plot([], [], "s", color=QUIET, fillstyle="none", label="may be chance")
    _legend_below(figure, axes)
    return figure


def effect_by_level(study: StudyData, effects: Effects) -> Figure:
    """Every trial's MAE and gap against each hyperparameter, with the mean of each value."""
    model = effects.factors[:MOST_FACTORS]
    figure = Figure(figsize=(_WIDTH, 0.7 + 2.1 * len(model)), layout="constrained")
    grid = figure.subplots(len(model), 2, squeeze=False)
    shown = (
        ("best/val_mae", "validation MAE (years)", VAL, "o"),
        ("best/gap", "gap (years)", TRAIN, "^"),
    )
    for row, factor in zip(grid, model, strict=True):
        for axes, (metric, label, colour, marker) in zip(row, shown, strict=True):
            values = study.values(metric)
            axes.plot(factor.places, values, marker, color=colour, alpha=0.55, markersize=5,
                      label=f"trials, {label.partition(' (')[0]}")  # fmt: skip
            if not factor.is_line:
                places = [factor.places[factor.texts.index(level)] for level in factor.levels]
                means = [
                    float(np.mean(values[np.array(factor.texts) == level]))
                    for level in factor.levels
                ]
                axes.plot(places, means, color="0.15", linestyle="-", marker="_", markersize=16,
                          label="mean")  # fmt: skip
                axes.set_xticks(places, factor.levels, fontsize=9)
                axes.margins(x=0.2)
            elif factor.is_logarithmic:
                axes.xaxis.set_major_formatter(lambda place, _: f"{10**place:.0e}")
            axes.set_xlabel(factor.label, fontsize=10)
            axes.set_ylabel(label, fontsize=9)
            axes.grid(alpha=0.3)
    together = [axes.get_legend_handles_labels() for axes in grid[0]]
    handles = {label: handle for pair in together for handle, label in zip(*pair, strict=True)}
    figure.legend(
        handles.values(), handles, loc="outside upper center", ncols=3, fontsize=9, frameon=False
    )
    return figure


def parallel_coordinates(study: StudyData, effects: Effects) -> Figure:
    """A line for each trial through its hyperparameters to its error; dark is good."""
    order = np.argsort(-study.values("best/val_mae"))  # the best are drawn last, on top
    mae = study.values("best/val_mae")
    axes_values = [*(factor.places for factor in effects.factors), mae]
    labels = [*(factor.label for factor in effects.factors), "val MAE (years)"]
    scaled = np.column_stack([_unit(values) for values in axes_values])
    rank = np.empty(len(mae))
    rank[np.argsort(mae)] = np.linspace(0, 1, len(mae)) if len(mae) > 1 else [0.0]
    figure, axes = _figure(3.9)
    good = 1 - rank[order]
    lines = [list(enumerate(row)) for row in scaled[order]]
    grays = [str(0.85 * (1 - share)) for share in good]
    axes.add_collection(LineCollection(lines, colors=grays, linewidths=0.7 + 1.3 * good))
    axes.set_xlim(-0.3, len(labels) - 0.7)
    for place, factor in enumerate(effects.factors):
        for end, text in ((0, factor.levels[0]), (1, factor.levels[-1])):
            _end_label(axes, place, end, text)
    for end, text in ((0, f"{mae.min():.2f}"), (1, f"{mae.max():.2f}")):
        _end_label(axes, len(labels) - 1, end, text)
    for place in range(len(labels)):
        axes.axvline(place, color="0.4", linewidth=0.8)
    axes.plot([], [], color="0.0", linewidth=2, label="lowest error")
    axes.plot([], [], color="0.8", linewidth=0.8, label="highest error")
    axes.set_xticks(range(len(labels)), labels, fontsize=9)
    axes.set_yticks([])
    axes.set_ylim(-0.14, 1.14)
    axes.spines[:].set_visible(False)
    _legend_below(figure, axes)
    return figure


def parallel_coordinates_interactive(study: StudyData, effects: Effects) -> dict[str, Any]:
    """The same, where a range can be drawn along each axis to see its trials alone."""
    dimensions = [
        {
            "label": factor.label,
            "values": factor.places.tolist(),
            **(
                {}
                if factor.is_line and not factor.is_logarithmic
                else {
                    "tickvals": [
                        float(factor.places[factor.texts.index(level)])
                        for level in _some(factor.levels)
                    ],
                    "ticktext": list(_some(factor.levels)),
                }
            ),
        }
        for factor in effects.factors
    ]
    for metric, label in (("best/gap", "gap (years)"), ("best/val_mae", "val MAE (years)")):
        dimensions.append({"label": label, "values": study.values(metric).tolist()})
    line = {"color": study.values("best/val_mae").tolist(), "colorscale": "Viridis",
            "showscale": True, "colorbar": {"title": {"text": "val MAE<br>(years)"}}}  # fmt: skip
    data = [{"type": "parcoords", "dimensions": dimensions, "line": line}]
    return {"data": data, "layout": _layout(420) | {"margin": {"l": 60, "r": 30, "t": 50, "b": 30}}}


def importances(effects: Effects) -> Figure:
    """How much of the error's variation each hyperparameter accounts for in a random forest."""
    rows = effects.importances
    names = [row.key.rpartition(".")[2] for row in rows]
    figure, axes = _figure(1.5 + 0.36 * len(rows), names)
    axes.barh(
        range(len(rows)), [row.mean for row in rows], xerr=[row.spread for row in rows],
        color=TRAIN, alpha=0.75, capsize=3, label="mean ± sd over shuffles",
    )  # fmt: skip
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("drop in the forest's R² when shuffled")
    axes.grid(axis="x", alpha=0.3)
    _legend_below(figure, axes)
    return figure


def age_bands(errors: FaceErrors) -> Figure:
    """MAE and bias of the best trial by age band, with intervals."""
    names = [f"{band.name}\nn={band.count}" for band in errors.bands]
    places = np.arange(len(names))
    figure = Figure(figsize=(_WIDTH, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    mae = np.array([band.mae for band in errors.bands])
    bias = np.array([band.bias for band in errors.bands])
    upper.bar(places, mae[:, 0], yerr=_halves(mae), capsize=3, color=TRAIN, alpha=0.75,
              label="MAE, 95 % interval")  # fmt: skip
    lower.errorbar(places, bias[:, 0], yerr=_halves(bias), fmt="o", capsize=3, color=VAL,
                   label="bias, 95 % interval")  # fmt: skip
    lower.axhline(0, color="0.2", linewidth=1)
    upper.set_ylabel("MAE (years)")
    lower.set_ylabel("bias (years)\n+ is guessed too old")
    lower.set_xticks(places, names, fontsize=7)
    lower.set_xlabel("age (years), number of validation faces")
    for axes in (upper, lower):
        axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, fontsize=9, frameon=False)
    return figure


def _figure(height: float, labels: Sequence[str] = ()) -> tuple[Figure, Axes]:
    """Axes with room for a legend below, and for row labels on the left.

    Laid out by hand: Matplotlib's own layout takes half of the time of a small report.
    """
    longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
    figure = Figure(figsize=(_WIDTH, height))
    figure.subplots_adjust(
        left=min(0.16 if not labels else (0.15 + 0.07 * longest) / _WIDTH, 0.6), right=0.97,
        top=1 - 0.28 / height, bottom=1.05 / height,
    )  # fmt: skip
    return figure, figure.subplots()


def _legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="lower center", ncols=2, fontsize=9, frameon=False)


def _short_name(row: Leader) -> str:
    numbers = [str(trial.number) for trial in row.trials if trial.number is not None]
    values = " · ".join(row.configuration.values()) or "all"
    return f"{values}  (trial {', '.join(numbers)})" if numbers else values


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


def _effect_line(axes: Axes, place: int, effect: Effect) -> None:
    if effect.estimate is None:
        if math.isfinite(effect.value):
            axes.plot(effect.value, place, "x", color=QUIET)
        note = "confounded" if effect.confounded_with else "no interval"
        axes.annotate(f" {note}", (effect.value if math.isfinite(effect.value) else 0, place),
                      fontsize=9, va="center")  # fmt: skip
        return
    estimate = effect.estimate
    half = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
    axes.errorbar(estimate.value, place, xerr=half, capsize=3, markersize=6,
                  fmt="o" if effect.stands else "s", color=VAL if effect.stands else QUIET,
                  fillstyle="full" if effect.stands else "none")  # fmt: skip


def _change(effect: Effect) -> str:
    return f"{effect.key.rpartition('.')[2]}\n{effect.low} → {effect.high}"


def _halves(rows: np.ndarray) -> np.ndarray:
    """Lengths of error bars from (value, low, high); none where there is no interval."""
    return np.nan_to_num(np.abs(rows[:, 1:] - rows[:, :1])).T


def _unit(values: np.ndarray) -> np.ndarray:
    span = np.ptp(values)
    return (values - values.min()) / span if span else np.full(len(values), 0.5)


def _end_label(axes: Axes, place: int, end: int, text: str) -> None:
    axes.text(place, end + (0.03 if end else -0.03), text, fontsize=8, ha="center",
              va="bottom" if end else "top")  # fmt: skip


def _some(levels: Sequence[str]) -> Sequence[str]:
    """At most a dozen, evenly spread."""
    step = math.ceil(len(levels) / 12)
    return levels[::step]


def _hover(study: StudyData, trial: TrialRecord) -> str:
    words = [f"{key.rpartition('.')[2]} {trial.params.get(key, '')}" for key in study.keys]
    if "seed" in trial.params:
        words.append(f"seed {trial.params['seed']}")
    return f"trial {trial.number}<br>" + "<br>".join(words)


def _layout(height: int) -> dict[str, Any]:
    return {"height": height, "margin": {"l": 60, "r": 20, "t": 20, "b": 60},
            "font": {"family": "system-ui, sans-serif", "size": 13}}  # fmt: skip
