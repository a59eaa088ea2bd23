"""Duration of a report, and the time saved by reading the store at once.

    python -m tests.benchmarks.report_time          # 12 and 1,000 trials of 20 epochs
    python -m tests.benchmarks.report_time 12 100

The peer of `read_curves` is what MLflow's client offers: one call for each run and metric, here for
a sample of the runs, scaled up. Nothing is trained; studies are written into a store of their own.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from mlflow.tracking import MlflowClient

from src.analysis.study_data import CURVE_KEYS
from src.tracking.bulk_reading import read_curves
from src.tracking.lookup import find_study
from tests.unit.analysis.made_study import EXPERIMENT, make_study

ROOT = Path(__file__).parents[2]
SAMPLE = 20  # runs that the peer reads


def main() -> None:
    """Print a line for each number of trials."""
    counts = [int(word) for word in sys.argv[1:]] or [12, 1000]
    print("trials   report   curves at once   one call a curve   ratio")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            make_study("made", random_space(count), num_seeds=1, num_faces=1500, num_epochs=20)
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "src.report", "made"], check=True,
                stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            report = time.perf_counter() - started
            at_once, one_by_one = time_reading(count)
            print(f"{count:6d} {report:6.1f} s {at_once:14.2f} s {one_by_one:16.2f} s "
                  f"{one_by_one / at_once:6.0f}x", flush=True)  # fmt: skip
            os.chdir(ROOT)


def random_space(count: int) -> list[dict[str, str]]:
    """As a random search would draw them."""
    rng = np.random.default_rng(0)
    return [
        {"optimizer.learning_rate": f"{10 ** rng.uniform(-5, -3):.3g}",
         "data.batch_size": str(rng.choice([16, 32, 64])),
         "model.dropout_rate": f"{rng.uniform(0, 0.5):.3f}"}
        for _ in range(count)
    ]  # fmt: skip


def time_reading(count: int) -> tuple[float, float]:
    """Seconds for all curves, ours and MLflow's way."""
    trials = find_study(EXPERIMENT, "made").trials()
    started = time.perf_counter()
    read_curves("made", trials, CURVE_KEYS)
    at_once = time.perf_counter() - started
    client = MlflowClient()
    started = time.perf_counter()
    for trial in trials[:SAMPLE]:
        for key in CURVE_KEYS:
            client.get_metric_history(trial.run_id, key)
    return at_once, (time.perf_counter() - started) * count / min(SAMPLE, count)


if __name__ == "__main__":
    main()
