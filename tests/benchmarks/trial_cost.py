"""Cost of a trial beside its arithmetic: start, steps, command line.

    python -m tests.benchmarks.trial_cost                 # all rows, some 6 minutes on 2 cores
    python -m tests.benchmarks.trial_cost start           # one of: start, step, command

Faces are drawn by the project, weights are random: neither moves a time.
"""

import json
import subprocess
import sys
import time
from itertools import pairwise
from statistics import median

from tests.benchmarks.rows import Row, cost_row, measure, rate_row, run

COMMAND = "python -m tests.benchmarks.trial_cost"
NUM_TRIALS = 6  # of a sweep
EPOCHS = 3
TRIAL = ["+scale=small", "data.num_images=400", f"fit.epochs={EPOCHS}", "model.dropout_rate=0.2",
         "tracking.system_metrics=false"]  # fmt: skip
ROUNDS = 5


def main() -> None:
    """Measure the rows that were asked for."""
    measure("trial_cost", {"start": start_rows, "step": step_rows, "command": command_rows})


def start_rows() -> list[Row]:
    """Import, build, trace, log: all of a trial that is no step and no measuring."""
    seeds = ",".join(map(str, range(NUM_TRIALS)))
    run([sys.executable, "-m", "src.train", "-m", "study.name=warm", *TRIAL, f"seed={seeds}"])
    ours = median(fixed_seconds("warm"))
    started = time.perf_counter()
    script = [
        sys.executable,
        "-m",
        "tests.benchmarks.plain_trial",
        *map(str, [32, 240, 80, EPOCHS]),
    ]
    done = subprocess.run(script, check=True, capture_output=True, text=True)
    theirs = time.perf_counter() - started - float(done.stdout.split()[-1])
    return [
        cost_row(
            "fixed cost of the 2nd ... Nth trial of one shape (32 px)",
            "a plain Keras script a trial, which logs nothing", ours, theirs, "s", 10,
            "drawing a ResNet50's initial weights again, 0.5 s; a run with two figures",
            f"{COMMAND} start",
        )
    ]  # fmt: skip


def fixed_seconds(study: str) -> list[float]:
    """From the end of each trial to the end of the next, less its training and measuring.

    The start of a sweep, which takes a few seconds more or less, does not move them.
    """
    script = (
        "import json; from mlflow import MlflowClient\n"
        "from src.tracking.lookup import find_study\n"
        f"trials = find_study('face-age', '{study}').trials()\n"
        "print(json.dumps(sorted((MlflowClient().get_run(t.run_id).info.end_time / 1000, "
        "t.metrics['time/total_seconds']) for t in trials)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True
    )
    trials = json.loads(done.stdout)
    return [end - before - epochs for (before, _), (end, epochs) in pairwise(trials)]


def step_rows() -> list[Row]:
    """Whole epochs on one compiled model, ours and Keras's in turn."""
    script = [sys.executable, "-m", "tests.benchmarks.fine_tuning_steps", str(ROUNDS)]
    done = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True)
    ours, theirs = map(float, done.stdout.split()[-2:])
    return [
        rate_row(
            "full fine-tuning, 64 px, batch 32, with order, flips, progress and checks of the loss",
            "bare model.fit on arrays in memory", ours, theirs, "images/s", 0.97,
            "the step itself: what model.fit reaches", f"{COMMAND} step",
        )
    ]  # fmt: skip


def command_rows() -> list[Row]:
    """Time of commands that need no TensorFlow."""
    imports = median(run([sys.executable, "-c", "import tensorflow"]) for _ in range(ROUNDS))
    rows = []
    asked = {"--cfg job": ["--cfg", "job"],
             "a mistake in the configuration": ["model.dropout_rate=1.5"]}  # fmt: skip
    for what, arguments in asked.items():
        command = [sys.executable, "-m", "src.train", *arguments]
        quiet = {"check": False, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        seconds = median(run(command, **quiet) for _ in range(ROUNDS))
        rows.append(
            Row(what, "importing TensorFlow alone", seconds, imports, "s", imports / seconds,
                "<= 1.5 s", seconds <= 1.5, "start of Python and Hydra", f"{COMMAND} command")
        )  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
