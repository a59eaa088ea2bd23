"""What a study will cost: trials, epochs, time and disk, before anything runs."""

import heapq
import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Protocol

from rich.table import Table

from src.config import Config, cost_shape, program, stack_group
from src.config.schema import KeepModel, PrunerName
from src.core.console import show, spell_seconds, stderr
from src.core.errors import UsageError
from src.search.launch import Order, open_loop, simulate
from src.search.loop import Workers
from src.search.oracles import Suggestion
from src.tracking.study import StudyStore

if TYPE_CHECKING:
    from src.training.timing import Timing

_PLANS = Path("mlruns/plans")
_ARTIFACT_BYTES = 1_000_000  # a run's tables and figures, measured on 1,200 faces


@dataclass(frozen=True)
class PlannedTrial:
    """A trial that is still to run.

    Attributes:
        config: Its configuration.
        num_epochs: That it will train; fewer than its fidelity where it goes on from another.
        overrides: What it is composed from.
    """

    config: Config
    num_epochs: int
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a study still costs.

    Attributes:
        num_trials: Still to run.
        num_epochs: In all of them.
        seconds: From start to end.
        peak_bytes: Disk that is taken while it runs.
        final_bytes: Disk that is taken afterwards.
    """

    num_trials: int
    num_epochs: int
    seconds: float
    peak_bytes: float
    final_bytes: float


Shape = tuple[tuple[str, str], ...]


class TimingWorkers(Workers, Protocol):
    """Workers that can say how long something will take them."""

    num_jobs: int

    def time(self, overrides: Sequence[str]) -> "Timing":
        """Time a few steps of a trial, in processes like those that trials have."""


def plan_study(order: Order, workers: TimingWorkers) -> None:
    """Say what a launch would cost, keep it for the launch, and run nothing."""
    store = StudyStore(order.experiment, order.study)
    loop, book = open_loop(order, store, workers, is_read_only=True)
    num_known = sum(job.outcome is not None for job in loop.jobs)
    num_waiting = 0
    if loop.search.is_adaptive:
        missing, num_waiting = _simulated(order)
        missing = missing[num_known:]
    else:
        pairs = [(job, book.config(job)) for job in loop.waiting]
        missing = [PlannedTrial(c, job.epochs, job.overrides) for job, c in pairs if c]
    shapes = {cost_shape(trial.config): trial for trial in missing}
    timings = {}
    for number, (key, trial) in enumerate(shapes.items(), start=1):
        stderr.print(f"Timing shape {number} of {len(shapes)}; that takes about a minute.")
        timings[key] = workers.time(trial.overrides)
    total = cost(missing, timings, workers.num_jobs, num_waiting)
    remember(order, total, workers.num_jobs)
    if missing:
        show(table(missing, timings, workers.num_jobs))
    may_take_less = any(
        trial.config.pruner.name is not PrunerName.none
        or trial.config.fit.early_stopping_patience is not None
        or (workers.side_by_side > 1 and stack_group(trial.config) is not None)
        for trial in missing
    )
    print(sentence(total, num_known, may_take_less))


def _simulated(order: Order) -> tuple[list[PlannedTrial], int]:
    """All trials of a search that learns, and the most that wait for a promotion at a time.

    Which configurations it will come to is not known: the simulated ones stand for them.
    """
    simulated = list(simulate(order))
    suggestions = [suggestion for suggestion, _ in simulated]
    trials = []
    for suggestion in suggestions:
        overrides = order.overrides(suggestion.values)
        try:
            config = order.compose(overrides)
        except UsageError:
            continue
        num_epochs = epochs_to_train(suggestion, suggestions, config.fit.epochs)
        trials += [PlannedTrial(config, num_epochs, tuple(overrides))] * order.rules.num_replicates
    return trials, max((waiting for _, waiting in simulated), default=0)


def epochs_to_train(
    suggestion: Suggestion, suggestions: Sequence[Suggestion], max_epochs: int
) -> int:
    """What a trial adds to the one that it goes on from."""
    past = suggestion.promoted_from
    spent = suggestions[past].epochs or 0 if past is not None else 0
    return (suggestion.epochs or max_epochs) - spent


def cost(
    trials: Sequence[PlannedTrial],
    timings: Mapping[Shape, "Timing"],
    num_jobs: int,
    num_waiting: int,
) -> Cost:
    """Add up.

    Args:
        trials: In the order in which they will run.
        timings: For each of their shapes.
        num_jobs: Trials at a time.
        num_waiting: Most trials that keep their states, waiting for a promotion.
    """
    ends = [end for _, end in schedule(trials, timings, num_jobs)]
    state = max((timing.state_bytes for timing in timings.values()), default=0)
    model = max((timing.model_bytes for timing in timings.values()), default=0)
    final = len(trials) * _ARTIFACT_BYTES + _num_models(trials) * model
    return Cost(
        num_trials=len(trials),
        num_epochs=sum(trial.num_epochs for trial in trials),
        seconds=max(ends, default=0),
        peak_bytes=final + (num_jobs + num_waiting) * state,
        final_bytes=final,
    )


def schedule(
    trials: Sequence[PlannedTrial], timings: Mapping[Shape, "Timing"], num_jobs: int
) -> list[tuple[float, float]]:
    """When each trial starts and ends, in seconds.

    It goes to the process that is free first. That starts anew, unless its last trial has left
    the same program.
    """
    processes: list[tuple[float, int, object]] = [(0, slot, None) for slot in range(num_jobs)]
    times = []
    for trial in trials:
        start, slot, before = heapq.heappop(processes)
        timing, its = timings[cost_shape(trial.config)], program(trial.config)
        end = start + (timing.warm_start_seconds if before == its else timing.start_seconds)
        end += trial.num_epochs * timing.epoch_seconds + timing.end_seconds
        heapq.heappush(processes, (end, slot, its))
        times.append((start, end))
    return times


def table(
    trials: Sequence[PlannedTrial], timings: Mapping[Shape, "Timing"], num_jobs: int
) -> Table:
    """A row for each shape: what it is, how many trials, how long."""
    varied = {key for one in timings for key, _ in set(one) ^ set(next(iter(timings)))}
    grid = Table(show_edge=False, pad_edge=False)
    grid.add_column("shape")
    for name in ("trials", "epochs", "first start", "next start", "an epoch", "a trial"):
        grid.add_column(name, justify="right")
    epochs: Counter[Shape] = Counter()
    seconds = defaultdict(list)
    for trial, (start, end) in zip(trials, schedule(trials, timings, num_jobs), strict=True):
        epochs[cost_shape(trial.config)] += trial.num_epochs
        seconds[cost_shape(trial.config)].append(end - start)
    for key, its in seconds.items():
        timing = timings[key]
        words = [f"{name.rpartition('.')[2]} {value}" for name, value in key if name in varied]
        grid.add_row(
            ", ".join(words) or "all", str(len(its)), str(epochs[key]),
            spell_seconds(timing.start_seconds), spell_seconds(timing.warm_start_seconds),
            spell_seconds(timing.epoch_seconds), spell_seconds(mean(its)),
        )  # fmt: skip
    return grid


def sentence(total: Cost, num_known: int, is_upper_bound: bool) -> str:
    """The whole in two lines."""
    most = "at most " if is_upper_bound else ""
    return (
        f"{total.num_trials} trials and {most}{total.num_epochs} epochs are to run, "
        f"{num_known} trials are done.\n"
        f"Time: {most}{spell_seconds(total.seconds)}. "
        f"Disk: {total.peak_bytes / 1e9:.1f} GB while it runs, "
        f"{total.final_bytes / 1e9:.1f} GB afterwards."
    )


def remember(order: Order, total: Cost, num_jobs: int) -> None:
    """Keep a plan, for the run to be held against."""
    _PLANS.mkdir(parents=True, exist_ok=True)
    plan = {**_made_for(order, total.num_trials, num_jobs), **asdict(total)}
    (_PLANS / f"{order.study}.json").write_text(json.dumps(plan, indent=2))


def recall(order: Order, num_trials: int, num_jobs: int) -> float | None:
    """Seconds that were planned for just these trials, so many at a time, or None."""
    try:
        plan = json.loads((_PLANS / f"{order.study}.json").read_text())
    except (OSError, ValueError):
        return None
    made_for = _made_for(order, num_trials, num_jobs)
    return float(plan["seconds"]) if made_for.items() <= plan.items() else None


def _made_for(order: Order, num_trials: int, num_jobs: int) -> dict[str, Any]:
    pruner = asdict(order.base.pruner) if order.base is not None else None
    definition = {**order.definition, "pruner": pruner}
    return {"definition": json.dumps(definition, sort_keys=True), "num_trials": num_trials,
            "num_jobs": num_jobs}  # fmt: skip


def _num_models(trials: Sequence[PlannedTrial]) -> int:
    """Models that are kept: of `best`, each that beats all before it, 1 + ln n on average."""
    count = len(trials)
    if not count:
        return 0
    match trials[0].config.tracking.keep_model:
        case KeepModel.all:
            return count
        case KeepModel.none:
            return 0
        case _:
            return math.ceil(1 + math.log(count))
