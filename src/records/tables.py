"""Tables of a study's trials: for the terminal, as CSV and as Markdown."""

import csv
import io
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from src.config import Objective, affects_numbers
from src.core import names
from src.core.console import spell_seconds
from src.core.names import State
from src.records.terms import Terms
from src.records.trial import TrialRecord

_MOST_ROWS = 40  # of a table on the terminal; the CSV has them all
_NUM_LEADERS = 10  # of the table on MLflow's page


def ranked(trials: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Returns the complete trials, the best first, and then the others by number."""

    def key(trial: TrialRecord) -> tuple[bool, float, int]:
        is_complete = trial.state is State.COMPLETE
        return not is_complete, cost_of(trial, objective) if is_complete else 0, trial.number or 0

    return sorted(trials, key=key)


def complete_trials(trials: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Returns the complete trials that have the objective, the best first."""
    return [
        trial
        for trial in ranked(trials, objective)
        if trial.state is State.COMPLETE and objective.metric in trial.metrics
    ]


def cost_of(trial: TrialRecord, objective: Objective) -> float:
    """Returns the objective of a trial as a number to minimise; infinity where it has none."""
    return objective.cost(trial.metrics.get(objective.metric, math.nan))


def table(title: str, trials: Sequence[TrialRecord], terms: Terms) -> Table:
    """Returns the trials for a terminal, as `ranked`, without keys that all share."""
    grid = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    grid.add_column("trial", justify="right", no_wrap=True)
    grid.add_column("configuration", overflow="fold", min_width=16)
    for name in (f"{terms.title} [95 %]", "gap", "epoch"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("state", no_wrap=True)
    grid.add_column("time", justify="right", no_wrap=True)
    varied = varied_keys(trials)
    rows = ranked(trials, terms.objective)
    for trial in rows[:_MOST_ROWS]:
        grid.add_row(*_cells(trial, varied, terms.objective))
    if len(rows) > _MOST_ROWS:
        grid.add_row("…", f"and {len(rows) - _MOST_ROWS} more", "", "", "", "", "")
    return grid


def as_csv(trials: Sequence[TrialRecord], objective: Objective) -> str:
    """Returns the trials by number as CSV, for other programs."""
    stream = io.StringIO()
    varied = varied_keys(trials)
    compared = objective.metric
    metrics = list(dict.fromkeys(
        [compared, names.low(compared), names.high(compared), names.BEST_VAL_MAE,
         names.BEST_TRAIN_MAE, names.BEST_GAP, names.BEST_EPOCH,
         *sorted(key for trial in trials for key in trial.metrics if key.startswith("val/"))]
    ))  # fmt: skip
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["trial", *varied, *metrics, "state", "seconds", "run_id"])
    for trial in trials:
        writer.writerow(
            [trial.number, *(trial.params.get(key, "") for key in varied),
             *(trial.metrics.get(key, "") for key in metrics),
             trial.outcome, trial.seconds, trial.run_id]
        )  # fmt: skip
    return stream.getvalue()


def description(
    question: str, summary: str, views: str, trials: Sequence[TrialRecord], terms: Terms
) -> str:
    """Returns the Markdown that MLflow's page shows of a study, folded after its third paragraph.

    Args:
        question: The study's.
        summary: See `headline`.
        views: Links to the study's views, as Markdown.
        trials: The study's.
        terms: The study's.
    """
    return "\n\n".join([question, views, summary, leaderboard(trials, terms)])


def leaderboard(trials: Sequence[TrialRecord], terms: Terms) -> str:
    """Returns the best trials as a Markdown table, as `ranked`."""
    varied = varied_keys(trials)
    headings = ["trial", *(key.rpartition(".")[2] for key in varied), f"{terms.title} [95 %]",
                "train MAE", "gap", "best epoch", "state"]  # fmt: skip
    lines = [headings, ["---"] * len(headings)]
    for trial in ranked(trials, terms.objective)[:_NUM_LEADERS]:
        number, _, error, gap, epoch, state, _ = _cells(trial, (), terms.objective)
        train = trial.metrics.get(names.BEST_TRAIN_MAE)
        lines.append(
            [number, *(trial.params.get(key, "").replace("|", "&#124;") for key in varied), error,
             "" if train is None else _short(train), gap, epoch, state]
        )  # fmt: skip
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def varied_keys(trials: Sequence[TrialRecord]) -> list[str]:
    """Returns the hyperparameters whose values differ between the trials that have them."""
    values: dict[str, set[str]] = defaultdict(set)
    for trial in trials:
        for key, value in trial.params.items():
            values[key].add(value)
    return sorted(
        key for key in values.keys() - _DERIVED if len(values[key]) > 1 and affects_numbers(key)
    )


def axis_keys(trials: Sequence[TrialRecord]) -> list[str]:
    """Returns the varied hyperparameters that every started trial has, without the seed."""
    started = [trial.params for trial in trials if trial.params]
    return [
        key
        for key in varied_keys(trials)
        if key != "seed" and all(key in params for params in started)
    ]


_DERIVED = {names.LOG10_LEARNING_RATE, names.NUM_TRAIN, names.NUM_VAL, names.NUM_TEST}


def _cells(trial: TrialRecord, varied: Sequence[str], objective: Objective) -> list[str]:
    metrics, params = trial.metrics, trial.params
    configuration = ", ".join(
        f"{key.rpartition('.')[2]} {params[key]}" for key in varied if key in params
    )
    configuration = configuration or trial.tags.get("configuration", "")
    reason = trial.tags.get(names.INFEASIBLE) or trial.tags.get(names.FAILURE, "")
    if trial.state is State.FAILED and reason:
        configuration = f"{configuration}\n{reason.splitlines()[0]}".strip()
    error = gap = epoch = ""
    compared = objective.metric
    if compared in metrics:
        error = f"{_short(metrics[compared])} {interval(metrics, compared)}".rstrip()
    if names.BEST_GAP in metrics:
        gap, epoch = _short(metrics[names.BEST_GAP], "+"), f"{metrics[names.BEST_EPOCH]:.0f}"
    state = "infeasible" if names.INFEASIBLE in trial.tags else trial.outcome
    seconds = "" if trial.seconds is None else spell_seconds(trial.seconds)
    return [str(trial.number or "–"), escape(configuration), error, gap, epoch, state, seconds]


def interval(metrics: Mapping[str, float], metric: str) -> str:
    """Returns the 95 % interval of a metric, such as `[6.90, 8.56]`; empty where it has none."""
    ends = [metrics[end] for end in (names.low(metric), names.high(metric)) if end in metrics]
    return f"[{', '.join(map(_short, ends))}]" if ends else ""


def _short(value: float, sign: str = "") -> str:
    """Returns two decimals, or the order of magnitude of a diverged value."""
    return f"{value:{sign}.2f}" if abs(value) < 1e5 else f"{value:{sign}.0e}"


def counted(num_trials: int) -> str:
    """Returns the number with its noun."""
    return "1 trial" if num_trials == 1 else f"{num_trials} trials"


def headline(trials: Sequence[TrialRecord], terms: Terms) -> str:
    """Returns the number of trials by state and the best one, in a sentence or two."""
    metric = terms.objective.metric
    complete = complete_trials(trials, terms.objective)
    words = states(trials)
    if complete:
        best = complete[0]
        words += f" Best: trial {best.number}, {terms.phrase} {best.metrics[metric]:.2f}"
        words += f" {terms.unit}".rstrip()
        if len(complete) > 1:
            median = statistics.median(trial.metrics[metric] for trial in complete)
            words += f" (median of complete trials {median:.2f})"
        words += "."
    return words


def states(trials: Sequence[TrialRecord]) -> str:
    """Returns the number of trials by state."""
    counts = Counter(trial.outcome.lower() for trial in trials)
    words = ("complete", "pruned", "failed", "infeasible")
    parts = [f"{counts[word]} {word}" for word in words if counts[word]]
    return f"{counted(len(trials))}: {', '.join(parts) or 'none has ended'}."
