"""What a person sees of a sweep: a line for each trial, and a table of them all."""

import csv
import io
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from src.config import affects_numbers
from src.core.console import spell_seconds, stderr
from src.core.names import State
from src.search.loop import Job, Outcome
from src.tracking.study import TrialRecord
from src.tracking.views import StudyLinks

_MOST_ROWS = 40  # of a table on the screen; the CSV has them all
_NUM_LEADERS = 10  # of the table on MLflow's page


class Progress:
    """Says how far a sweep is, how good it has become, and when it will be over."""

    def __init__(self, num_trials: int, num_epochs: int, num_jobs: int) -> None:
        """Begin with nothing known.

        Args:
            num_trials: In all, known ones included; an estimate where trials depend on others.
            num_epochs: The same in epochs; 0 where nothing is known of epochs.
            num_jobs: Trials at a time; 0 if that is not known, and then there is no ETA.
        """
        self._num_trials = num_trials
        self._epochs_left = num_epochs
        self._num_jobs = num_jobs
        self._num_ended = 0
        self._epochs_ended = 0
        self._seconds_ended = 0.0
        self._started: dict[int, float] = {}
        self._best: Job | None = None

    def known(self, jobs: Sequence[Job]) -> None:
        """Count trials that were run before."""
        for job in jobs:
            self._epochs_left -= job.epochs
            self._num_ended += 1
            self._is_better(job)

    def started(self, job: Job) -> None:
        """Note when a trial starts."""
        self._started[job.number] = time.monotonic()

    def retried(self, job: Job, outcome: Outcome) -> None:
        """Say that a trial will be tried once more, and why."""
        reason = (outcome.failure or "it failed").splitlines()[0]
        stderr.print(f"trial {job.number}  {reason}; it will be tried again", markup=False)

    def ended(self, job: Job) -> None:
        """Print a trial's line."""
        self._num_ended += 1
        self._epochs_left -= job.epochs
        self._epochs_ended += job.epochs
        self._seconds_ended += time.monotonic() - self._started.pop(job.number)
        outcome = job.outcome
        if outcome is None:
            return
        words = [f"trial {job.number} ({self._num_ended} of {self._num_trials})", job.title]
        if math.isfinite(outcome.val_mae):
            words.append(f"val MAE {outcome.val_mae:.2f}")
        if outcome.state is not State.COMPLETE:
            words.append(str(outcome.state))
        if outcome.infeasible or outcome.failure:
            words.append((outcome.infeasible or outcome.failure).splitlines()[0])
        if self._is_better(job):
            words.append("best so far")
        elif self._best is not None and self._best.outcome is not None:
            words.append(f"best: trial {self._best.number}, {self._best.outcome.val_mae:.2f}")
        left = self._seconds_left()
        if left > 0:
            words.append(f"ETA {spell_seconds(left)}")
        stderr.print("  ".join(word for word in words if word), markup=False)

    def _seconds_left(self) -> float:
        """By what an epoch has taken so far, less what the running trials have done already."""
        if not self._epochs_ended or not self._num_jobs:
            return 0
        work = self._epochs_left * self._seconds_ended / self._epochs_ended
        now = time.monotonic()
        work -= sum(now - started for started in self._started.values())
        return work / self._num_jobs

    def _is_better(self, job: Job) -> bool:
        outcome = job.outcome
        if outcome is None or outcome.state is not State.COMPLETE:
            return False
        best = self._best.outcome.val_mae if self._best and self._best.outcome else math.inf
        if outcome.val_mae < best:
            self._best = job
            return True
        return False


def ranked(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Complete trials first, the best first; then the others by number."""

    def key(trial: TrialRecord) -> tuple[bool, float, int]:
        complete = trial.state is State.COMPLETE
        error = trial.metrics.get("best/val_mae", math.inf)
        return not complete, error if complete else 0, trial.number or 0

    return sorted(trials, key=key)


def table(title: str, trials: Sequence[TrialRecord]) -> Table:
    """The trials for a terminal, as `ranked`; keys that all share are left out."""
    grid = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    grid.add_column("trial", justify="right", no_wrap=True)
    grid.add_column("configuration", overflow="fold", min_width=16)
    for name in ("best MAE [95 %]", "gap", "epoch"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("state", no_wrap=True)
    grid.add_column("time", justify="right", no_wrap=True)
    varied = varied_keys(trials)
    rows = ranked(trials)
    for trial in rows[:_MOST_ROWS]:
        grid.add_row(*_cells(trial, varied))
    if len(rows) > _MOST_ROWS:
        grid.add_row("…", f"and {len(rows) - _MOST_ROWS} more", "", "", "", "", "")
    return grid


def as_csv(trials: Sequence[TrialRecord]) -> str:
    """The trials by number, for other programs."""
    stream = io.StringIO()
    varied = varied_keys(trials)
    metrics = ("best/val_mae", "best/val_mae_low", "best/val_mae_high", "best/train_mae",
               "best/gap", "best/epoch")  # fmt: skip
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["trial", *varied, *metrics, "state", "seconds", "run_id"])
    for trial in trials:
        writer.writerow(
            [trial.number, *(trial.params.get(key, "") for key in varied),
             *(trial.metrics.get(key, "") for key in metrics),
             "INFEASIBLE" if "infeasible" in trial.tags else trial.state,
             trial.seconds, trial.run_id]
        )  # fmt: skip
    return stream.getvalue()


def description(
    question: str, summary: str, links: StudyLinks, trials: Sequence[TrialRecord]
) -> str:
    """The Markdown that MLflow's page shows of a study, folded after its third paragraph."""
    views = f"All trials: [table]({links.table}) · [charts]({links.charts})"
    return "\n\n".join([question, views, summary, leaderboard(trials)])


def leaderboard(trials: Sequence[TrialRecord]) -> str:
    """The best trials as a Markdown table, as `ranked`."""
    varied = varied_keys(trials)
    headings = ["trial", *(key.rpartition(".")[2] for key in varied), "best MAE [95 %]",
                "train MAE", "gap", "best epoch", "state"]  # fmt: skip
    lines = [headings, ["---"] * len(headings)]
    for trial in ranked(trials)[:_NUM_LEADERS]:
        number, _, error, gap, epoch, state, _ = _cells(trial, ())
        train = trial.metrics.get("best/train_mae")
        lines.append(
            [number, *(trial.params.get(key, "").replace("|", "&#124;") for key in varied), error,
             "" if train is None else _short(train), gap, epoch, state]
        )  # fmt: skip
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def varied_keys(trials: Sequence[TrialRecord]) -> list[str]:
    """Hyperparameters whose values differ between the trials that have them."""
    values: dict[str, set[str]] = defaultdict(set)
    for trial in trials:
        for key, value in trial.params.items():
            values[key].add(value)
    return sorted(
        key for key in values.keys() - _DERIVED if len(values[key]) > 1 and affects_numbers(key)
    )


def axis_keys(trials: Sequence[TrialRecord]) -> list[str]:
    """What is varied, and is there in every trial that has started; a seed is no knob."""
    started = [trial.params for trial in trials if trial.params]
    return [
        key
        for key in varied_keys(trials)
        if key != "seed" and all(key in params for params in started)
    ]


_DERIVED = {"log10_learning_rate", "num_train", "num_val", "num_test"}


def _cells(trial: TrialRecord, varied: Sequence[str]) -> list[str]:
    metrics, params = trial.metrics, trial.params
    configuration = ", ".join(
        f"{key.rpartition('.')[2]} {params[key]}" for key in varied if key in params
    )
    configuration = configuration or trial.tags.get("configuration", "")
    reason = trial.tags.get("infeasible") or trial.tags.get("failure", "")
    if trial.state is State.FAILED and reason:
        configuration = f"{configuration}\n{reason.splitlines()[0]}".strip()
    error = gap = epoch = ""
    if "best/val_mae" in metrics:
        low, high = (metrics.get(f"best/val_mae_{end}", math.nan) for end in ("low", "high"))
        error = f"{_short(metrics['best/val_mae'])} [{_short(low)}, {_short(high)}]"
        gap, epoch = f"{_short(metrics['best/gap'], '+')}", f"{metrics['best/epoch']:.0f}"
    state = "infeasible" if "infeasible" in trial.tags else str(trial.state)
    seconds = "" if trial.seconds is None else spell_seconds(trial.seconds)
    return [str(trial.number or "–"), escape(configuration), error, gap, epoch, state, seconds]


def _short(years: float, sign: str = "") -> str:
    """Two decimals; what has diverged needs no more than its size."""
    return f"{years:{sign}.2f}" if abs(years) < 1000 else f"{years:{sign}.0e}"


def counted(num_trials: int) -> str:
    """The number with its noun."""
    return "1 trial" if num_trials == 1 else f"{num_trials} trials"


def headline(trials: Sequence[TrialRecord]) -> str:
    """What the study came to so far, in a sentence or two."""
    complete = [
        trial
        for trial in ranked(trials)
        if trial.state is State.COMPLETE and "best/val_mae" in trial.metrics
    ]
    words = states(trials)
    if complete:
        best = complete[0]
        error = best.metrics["best/val_mae"]
        words += f" Best: trial {best.number}, validation MAE {error:.2f} years"
        if len(complete) > 1:
            median = statistics.median(t.metrics["best/val_mae"] for t in complete)
            words += f" (median of complete trials {median:.2f})"
        words += "."
    return words


def states(trials: Sequence[TrialRecord]) -> str:
    """How many trials there are, and how they ended."""
    counts = {
        state: sum(trial.state is state for trial in trials)
        for state in (State.COMPLETE, State.PRUNED, State.FAILED)
    }
    infeasible = sum("infeasible" in trial.tags for trial in trials)
    counts[State.FAILED] -= infeasible
    parts = [f"{count} {state.lower()}" for state, count in counts.items() if count]
    parts += [f"{infeasible} infeasible"] if infeasible else []
    return f"{counted(len(trials))}: {', '.join(parts) or 'none has ended'}."
