"""Measurements of a benchmark: one row for each comparison with what users would do otherwise.

A benchmark is a module of this folder with a `main()`. Both
sides of a row are measured in one call of it, one after the other, on the same input.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from src.tracking import provenance

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments/benchmarks"


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: Is measured, such as `warm input pipeline, 224 px, flips and rotation`.
        peer: What a user would do otherwise.
        ours: In `unit`.
        theirs: In `unit`.
        unit: Such as `images/s` or `s a trial`.
        ratio: How many times better ours is; below 1 where it is worse.
        target: What was to be reached, in words, such as `>= 20x`.
        is_reached: Whether it was.
        limit: What physically bounds ours, with its value where it was measured.
        command: That measures this row.
    """

    what: str
    peer: str
    ours: float
    theirs: float
    unit: str
    ratio: float
    target: str
    is_reached: bool
    limit: str
    command: str


def rate_row(what: str, peer: str, ours: float, theirs: float, unit: str, at_least: float,
             limit: str, command: str) -> Row:  # fmt: skip
    """More is better: the ratio is ours / theirs and is to reach `at_least`."""
    ratio = ours / theirs
    return Row(what, peer, ours, theirs, unit, ratio, f">= {at_least:g}x", ratio >= at_least,
               limit, command)  # fmt: skip


def cost_row(what: str, peer: str, ours: float, theirs: float, unit: str, at_least: float,
             limit: str, command: str) -> Row:  # fmt: skip
    """Less is better: the ratio is theirs / ours and is to reach `at_least`."""
    ratio = theirs / ours
    return Row(what, peer, ours, theirs, unit, ratio, f">= {at_least:g}x", ratio >= at_least,
               limit, command)  # fmt: skip


def run(command: Sequence[str], **options: Any) -> float:
    """Seconds that a command takes; what it prints goes to standard error."""
    started = time.perf_counter()
    subprocess.run(command, **{"check": True, "stdout": sys.stderr, **options})
    return time.perf_counter() - started


def measure(name: str, rows: Mapping[str, Callable[[], Sequence[Row]]]) -> None:
    """Measure in a temporary folder what the command line asks for, else everything, and write it.

    Args:
        name: Of the benchmark.
        rows: By the word that asks for them.
    """
    asked = sys.argv[1:] or list(rows)
    os.environ["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        measured = [row for word in asked for row in rows[word]()]
        os.chdir(ROOT)
    write(name if len(asked) == len(rows) else "_".join([name, *asked]), measured)


def write(name: str, rows: Sequence[Row]) -> None:
    """Print the rows, and keep them with the machine's description in `experiments/benchmarks/`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame([asdict(row) for row in rows])
    frame.to_csv(FOLDER / f"{name}.csv", index=False, float_format="%.4g")
    (FOLDER / f"{name}.json").write_text(json.dumps(provenance.machine(), indent=2) + "\n")
    for row in rows:
        verdict = "reached" if row.is_reached else "MISSED"
        print(f"{row.what}\n  ours {row.ours:.4g} {row.unit}, {row.peer}: {row.theirs:.4g}; "
              f"{row.ratio:.3g}x ({row.target}: {verdict})")  # fmt: skip
