"""Measurements on ResNet50 for settings that a platform has to choose, and the values in `conf/`.

    python -m tests.benchmarks.choices          # some 10 minutes on 2 cores

Each line is a process of its own, 64 px, batch 32, full fine-tuning, after the first steps.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from src.tracking import provenance
from tests.benchmarks.rows import FOLDER

ROOT = Path(__file__).parents[2]
TRAIN = {
    "as chosen": ({}, []),
    "oneDNN off": ({"TF_ENABLE_ONEDNN_OPTS": "0"}, []),
    "one core": ({"BENCHMARK_CORES": "1"}, []),
    "not deterministic": ({}, ["fit.deterministic=false"]),
    "XLA": ({}, ["fit.deterministic=false", "fit.jit_compile=true"]),
    "mixed_bfloat16": ({}, ["fit.precision=mixed_bfloat16"]),
}
EVALUATION = (16, 32, 64, 128, 256)


def main() -> None:
    """Print and keep a table of training and one of measuring."""
    os.environ["PYTHONPATH"] = str(ROOT)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, (environment, overrides) in TRAIN.items():
            rate, first = measure("train", environment, overrides)
            rows.append((f"training, {name}", rate, first))
        both = [start("train", {"BENCHMARK_CORES": str(core)}, []) for core in ("1", "2")]
        rates = [read(process)[0] for process in both]
        rows.append(("training, two processes of one core each", sum(rates), float("nan")))
        for size in EVALUATION:
            rate, first = measure("evaluate", {}, [f"fit.eval_batch_size={size}"])
            rows.append((f"measuring, fit.eval_batch_size={size}", rate, first))
        os.chdir(ROOT)
    frame = pd.DataFrame(rows, columns=["setting", "images/s", "first step, s"])
    frame.to_csv(FOLDER / "choices.csv", index=False, float_format="%.4g")
    (FOLDER / "choices.json").write_text(json.dumps(provenance.machine(), indent=2) + "\n")
    print(frame.to_string(index=False))


def measure(what: str, environment: dict[str, str], overrides: list[str]) -> tuple[float, float]:
    """Images/s, and the seconds of the first step."""
    return read(start(what, environment, overrides))


def start(what: str, environment: dict[str, str], overrides: list[str]) -> subprocess.Popen:
    """Begin to measure in a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.steps", what, *overrides],
        env=os.environ | environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def read(process: subprocess.Popen) -> tuple[float, float]:
    """Measurements."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with {process.returncode}")
    rate, first = map(float, output.split()[-2:])
    return rate, first


if __name__ == "__main__":
    main()
