"""Cost of a study before it runs: trials, epochs, time and disk."""

import heapq
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from rich.table import Table

from src.config import Config
from src.config.identity import KeyValues, cost_shape, program, stack_group
from src.config.study_schema import KeepModel, PrunerName
from src.core.console import empty_table, show, spell_seconds, stderr
from src.core.errors import UsageError
from src.search.launch import Launch, simulate
from src.search.loop import Workers
from src.search.resume import open_loop
from src.tracking.study import StudyStore

if TYPE_CHECKING:
    from src.training.timing import Timing

Timings = Mapping[KeyValues, "Timing"]
"""Timing of each shape of a trial."""

_PLANS = Path("mlruns/plans")
_ARTIFACT_BYTES = 1_000_000  # a run's tables and figures, measured on 1,200 faces


@dataclass(frozen=True)
class PlannedTrial:
    """A trial that is still to run.

    Attributes:
        config: Its configuration.
        num_epochs: That it will train; fewer than its fidelity if it continues another one.
    """

    config: Config
    num_epochs: int


@dataclass(frozen=True)
class Cost:
    """Remaining cost of a study.

    Attributes:
        num_trials: Still to run.
        num_epochs: In all of them.
        seconds: From start to end.
        peak_bytes: Disk space while it runs.
        final_bytes: Disk space afterwards.
    """

    num_trials: int
    num_epochs: int
    seconds: float
    peak_bytes: float
    final_bytes: float


def plan_study(launch: Launch, workers: Workers) -> None:
    """Prints what a launch would cost and keeps it for the launch; runs nothing."""
    store = StudyStore(launch.experiment, launch.study)
    loop = open_loop(launch, store, workers, is_read_only=True)
    num_known = sum(job.outcome is not None for job in loop.jobs)
    missing = [PlannedTrial(job.config, job.epochs) for job in loop.waiting if job.config]
    num_waiting = 0
    if loop.search.is_adaptive:
        simulated, num_waiting = _simulated(launch)
        missing = simulated[num_known:]
    shapes = {cost_shape(trial.config): trial for trial in missing}
    timings = {}
    for number, (shape, trial) in enumerate(shapes.items(), start=1):
        stderr.print(f"Timing shape {number} of {len(shapes)}, for about a minute.")
        timings[shape] = workers.time(trial.config)
    total = cost(missing, timings, workers.num_jobs, num_waiting)
    remember(launch, total, workers.num_jobs)
    if missing:
        show(table(missing, timings, workers.num_jobs))
    may_take_less = any(
        trial.config.pruner.name is not PrunerName.none
        or trial.config.fit.early_stopping_patience is not None
        or (workers.max_stacked > 1 and stack_group(trial.config) is not None)
        for trial in missing
    )
    most = "at most " if may_take_less else ""
    print(
        f"{total.num_trials} trials and {most}{total.num_epochs} epochs are to run, "
        f"{num_known} trials are done.\nTime: {most}{spell_seconds(total.seconds)}. "
        f"Disk: {total.peak_bytes / 1e9:.1f} GB while it runs, "
        f"{total.final_bytes / 1e9:.1f} GB afterwards."
    )


def _simulated(launch: Launch) -> tuple[list[PlannedTrial], int]:
    """Returns the trials of an adaptive search, and the most that wait for a promotion at a time.

    Its later configurations are unknown; those of a simulation stand for them.
    """
    trials: list[PlannedTrial] = []
    most_waiting = 0
    for suggestion, epochs, num_waiting in simulate(launch):
        most_waiting = max(most_waiting, num_waiting)
        try:
            config = launch.compose(launch.overrides(suggestion.values))
        except UsageError:
            continue
        num_epochs = epochs if suggestion.epochs else config.fit.epochs
        trials += [PlannedTrial(config, num_epochs)] * launch.settings.replicates
    return trials, most_waiting


def cost(trials: Sequence[PlannedTrial], timings: Timings, num_jobs: int, num_waiting: int) -> Cost:
    """Returns the cost of trials.

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
    trials: Sequence[PlannedTrial], timings: Timings, num_jobs: int
) -> list[tuple[float, float]]:
    """Returns start and end of each trial, in seconds.

    A trial runs in the process that is free first. That must be started again, unless its last
    trial was of the same program.
    """
    processes: list[tuple[float, int, object]] = [(0, slot, None) for slot in range(num_jobs)]
    times = []
    for trial in trials:
        start, slot, before = heapq.heappop(processes)
        timing, now = timings[cost_shape(trial.config)], program(trial.config)
        end = start + (timing.warm_start_seconds if before == now else timing.start_seconds)
        end += trial.num_epochs * timing.epoch_seconds + timing.end_seconds
        heapq.heappush(processes, (end, slot, now))
        times.append((start, end))
    return times


def table(trials: Sequence[PlannedTrial], timings: Timings, num_jobs: int) -> Table:
    """Returns a table with a row for each shape: number of trials, epochs and times."""
    varied = {key for shape in timings for key, _ in set(shape) ^ set(next(iter(timings)))}
    numbers = ("trials", "epochs", "first start", "next start", "an epoch", "a trial")
    grid = empty_table("shape", *numbers, numbers=numbers)
    epochs, seconds = defaultdict(list), defaultdict(list)
    for trial, (start, end) in zip(trials, schedule(trials, timings, num_jobs), strict=True):
        shape = cost_shape(trial.config)
        epochs[shape].append(trial.num_epochs)
        seconds[shape].append(end - start)
    for shape, durations in seconds.items():
        timing = timings[shape]
        words = [f"{key.rpartition('.')[2]} {value}" for key, value in shape if key in varied]
        grid.add_row(
            ", ".join(words) or "all", str(len(durations)), str(sum(epochs[shape])),
            spell_seconds(timing.start_seconds), spell_seconds(timing.warm_start_seconds),
            spell_seconds(timing.epoch_seconds), spell_seconds(mean(durations)),
        )  # fmt: skip
    return grid


def remember(launch: Launch, total: Cost, num_jobs: int) -> None:
    """Keeps a plan, so that the run can be compared with it."""
    _PLANS.mkdir(parents=True, exist_ok=True)
    plan = {**_conditions(launch, total.num_trials, num_jobs), **asdict(total)}
    (_PLANS / f"{launch.study}.json").write_text(json.dumps(plan, indent=2))


def recall(launch: Launch, num_trials: int, num_jobs: int) -> float | None:
    """Returns the planned seconds of exactly these trials, so many at a time, or None."""
    try:
        plan = json.loads((_PLANS / f"{launch.study}.json").read_text())
    except (OSError, ValueError):
        return None
    conditions = _conditions(launch, num_trials, num_jobs)
    return float(plan["seconds"]) if conditions.items() <= plan.items() else None


def _conditions(launch: Launch, num_trials: int, num_jobs: int) -> dict[str, Any]:
    pruner = asdict(launch.base.pruner) if launch.base is not None else None
    definition = json.dumps({**launch.definition, "pruner": pruner}, sort_keys=True)
    return {"definition": definition, "num_trials": num_trials, "num_jobs": num_jobs}


def _num_models(trials: Sequence[PlannedTrial]) -> int:
    """Returns the number of kept models: of `best`, one for each record, 1 + ln n on average."""
    keep = trials[0].config.tracking.keep_model if trials else KeepModel.none
    if keep is KeepModel.best:
        return math.ceil(1 + math.log(len(trials)))
    return len(trials) if keep is KeepModel.all else 0
