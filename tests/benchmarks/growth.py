"""Time and memory against the number of trials, of pictures, and their size.

    python -m tests.benchmarks.growth                     # some 15 minutes on 2 cores
    python -m tests.benchmarks.growth pictures 100000     # trials, pictures or size; how far

What grows is said beside what it should grow with: seconds a trial, a picture, and a step against
the arithmetic of its pixels.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from src.tracking import provenance
from tests.benchmarks.frozen_backbone import FROZEN, HEADS, draw_weights
from tests.benchmarks.rows import FOLDER

ROOT = Path(__file__).parents[2]
TRIALS = (1, 4, 16, 64, 256)
PICTURES = (1_000, 3_000, 10_000, 30_000, 100_000)
SIZES = (32, 64, 96, 128, 224)
PREPARE = """
import sys, time, resource
from src.cli.command_line import compose_config
from src.data import prepare
sizes = ["data.image_size=32", f"data.num_images={sys.argv[1]}", "data.cache_dir=pictures"]
config = compose_config(["model.weights=null", *sizes])
started = time.perf_counter()
prepare(config.data, config.target)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def main() -> None:
    """Measure the curves that were asked for."""
    asked = sys.argv[1:2] or ["trials", "pictures", "size"]
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 30_000
    os.environ["PYTHONPATH"] = str(ROOT)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in asked:
            rows += {"trials": trials, "pictures": lambda: pictures(most), "size": sizes}[name]()
        os.chdir(ROOT)
    frame = pd.DataFrame(rows)
    name = "growth" if len(asked) == 3 else f"growth_{asked[0]}"
    frame.to_csv(FOLDER / f"{name}.csv", index=False, float_format="%.4g")
    (FOLDER / f"{name}.json").write_text(json.dumps(provenance.machine(), indent=2) + "\n")
    print(frame.to_string(index=False))


def timed(command: list[str]) -> tuple[float, float, str]:
    """Seconds, gigabytes of the largest process, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    return time.perf_counter() - started, peak, done.stdout


def trials() -> list[dict[str, object]]:
    """Whole sweeps over heads on one cache."""
    draw_weights()
    rows = []
    for count in (1, *TRIALS):  # the first fills the cache
        rates = ",".join(f"{1e-4 * 1.02**number:.4g}" for number in range(count))
        seconds, peak, _ = timed([
            sys.executable, "-m", "src.train", "-m", f"study.name=of_{count}_{len(rows)}",
            *FROZEN, *HEADS, "model.dropout_rate=0.2", f"optimizer.learning_rate={rates}",
        ])  # fmt: skip
        rows.append({"what": "stacked heads", "count": count, "seconds": seconds,
                     "ms each": 1000 * seconds / count, "peak GB": peak})  # fmt: skip
    return rows[1:]


def pictures(most: int) -> list[dict[str, object]]:
    """Audit and decoding: the first time, and when the cache is there."""
    rows = []
    for count in PICTURES:
        if count > most:
            break
        for what in ("drawing, auditing and decoding faces", "opening them again"):
            _, _, printed = timed([sys.executable, "-c", PREPARE, str(count)])
            seconds, peak = map(float, printed.split()[-2:])
            rows.append({"what": what, "count": count, "seconds": seconds,
                         "ms each": 1000 * seconds / count, "peak GB": peak})  # fmt: skip
    return rows


def sizes() -> list[dict[str, object]]:
    """A step of full fine-tuning against the pixels in it."""
    rows = []
    for size in SIZES:
        batch = 32 if size < 200 else 16
        _, peak, printed = timed([
            sys.executable, "-m", "tests.benchmarks.steps", "train", f"data.image_size={size}",
            f"data.batch_size={batch}",
        ])  # fmt: skip
        rate = float(printed.split()[-2])
        rows.append({"what": "a training step, px", "count": size, "seconds": batch / rate,
                     "ms each": 1000 / rate, "peak GB": peak,
                     "us a 32 px square": 1e6 / rate / (size / 32) ** 2})  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
