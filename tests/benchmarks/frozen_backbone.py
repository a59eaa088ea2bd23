"""Trials on a frozen backbone: what is computed once, against computing it again and again.

    python -m tests.benchmarks.frozen_backbone            # all rows, some 15 minutes on 2 cores
    python -m tests.benchmarks.frozen_backbone heads      # one of: sweep, heads, block

Faces are drawn by the project, weights are random: neither moves a time. Each side runs in
processes of its own, in a temporary folder; a peer that takes hours is measured on some of its
trials and scaled to all, as its row says.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.benchmarks.rows import Row, cost_row, measure, run

COMMAND = "python -m tests.benchmarks.frozen_backbone"
WEIGHTS = "random.weights.h5"
FROZEN = [f"model.weights={WEIGHTS}", "model.freeze=backbone", "augmentation=none",
          "tracking.system_metrics=false"]  # fmt: skip
SWEEP = ["data.image_size=64", "fit.epochs=5", "optimizer.learning_rate=1e-4,1e-3,3e-3,1e-2",
         "data.batch_size=16,32", "model.dropout_rate=0,0.2,0.5"]  # fmt: skip
PEER_TRIALS = 3  # of 24
HEADS = ["data.image_size=32", "data.num_images=3000", "model.dropout_position=after_pooling",
         "fit.epochs=20"]  # fmt: skip
HEAD_SPACE = {
    "optimizer.learning_rate": ["1e-4", "3e-4", "1e-3", "3e-3", "1e-2", "3e-2", "1e-1", "3e-1"],
    "model.dropout_rate": ["0", "0.2", "0.4", "0.6"],
    "data.batch_size": ["16", "32"],
    "seed": ["0", "1", "2", "3"],
}
FEW, SOME = 2, 8  # trials one at a time: their difference tells what one more costs


def main() -> None:
    """Measure the rows that were asked for."""
    measure("frozen_backbone", {"sweep": sweep_rows, "heads": heads_rows, "block": block_rows})


def draw_weights() -> None:
    """Write a file of random weights, where it is not there yet."""
    if not Path(WEIGHTS).exists():
        run([sys.executable, "-c", f"import keras; keras.applications.ResNet50(include_top=False, "
             f"weights=None, input_shape=(64, 64, 3)).save_weights({WEIGHTS!r})"])  # fmt: skip


def draw_faces() -> str:
    """The folder of 1,200 faces, drawn."""
    run([sys.executable, "-c", "from src.cli.command_line import compose_config; "
         "from src.data import prepare; config = compose_config(['model.weights=null']); "
         "prepare(config.data, config.target)"])  # fmt: skip
    (table,) = Path(".cache/sample").glob("*/labels.csv")
    return str(table.parent)


def train(study: str, *overrides: str) -> float:
    """Seconds of a sweep."""
    return run(
        [sys.executable, "-m", "src.train", "-m", f"study.name={study}", *FROZEN, *overrides]
    )


def sweep_rows() -> list[Row]:
    """24 trials, from the files of the faces to the report."""
    draw_weights()
    faces = draw_faces()
    files = ["data=labels_csv", f"data.root={faces}"]
    ours = train("ours", *SWEEP, *files, "data.cache_dir=ours")
    ours += run([sys.executable, "-m", "src.report", "ours"])
    started = time.perf_counter()
    script = [sys.executable, "-m", "tests.benchmarks.random_search", faces, WEIGHTS]
    done = subprocess.run(
        [*script, str(PEER_TRIALS)], check=True, stdout=subprocess.PIPE, text=True
    )
    start = float(done.stdout.split()[-1])
    theirs = start + (time.perf_counter() - started - start) * 24 / PEER_TRIALS
    return [cost_row(
        "24 trials on a frozen backbone (4 learning rates x 2 batch sizes x 3 dropout rates, "
        "5 epochs, 64 px, 720 faces), from files to report",
        f"keras-tuner RandomSearch on the same space ({PEER_TRIALS} trials, scaled to 24)",
        ours, theirs, "s", 20,
        "start of two Python processes with TensorFlow, and one forward pass of each face",
        f"{COMMAND} sweep",
    )]  # fmt: skip


def heads_rows() -> list[Row]:
    """256 heads on activations that are there."""
    draw_weights()
    train("fill", *HEADS, "fit.epochs=1")
    space = [f"{key}={','.join(values)}" for key, values in HEAD_SPACE.items()]
    ours = train("ours", *HEADS, *space, "hydra.launcher.n_jobs=2")
    alone = [*HEADS, "hydra.launcher.max_stacked=1"]
    few, some = (
        train(f"alone_{count}", *alone, "optimizer.learning_rate=1e-3", "model.dropout_rate=0.2",
              f"data.batch_size={','.join(HEAD_SPACE['data.batch_size'])}",
              f"seed={','.join(map(str, range(count // 2)))}")
        for count in (FEW, SOME)
    )  # fmt: skip
    each = (some - few) / (SOME - FEW)
    return [cost_row(
        "256 head trials on cached activations (20 epochs, 1,800 faces), two processes, as "
        "`make sweep` has them, the whole command",
        f"one at a time on the same cache, in a warm process ({SOME - FEW} trials, {each:.2f} s "
        "each, scaled to 256)",
        ours, few + each * (256 - FEW), "s", 15,
        "start of a process with TensorFlow; a run and six tables for each trial",
        f"{COMMAND} heads",
    )]  # fmt: skip


def block_rows() -> list[Row]:
    """A step with conv5 learning: from cached activations, and from pictures."""
    draw_weights()
    script = [sys.executable, "-m", "tests.benchmarks.block_steps", WEIGHTS]
    done = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True)
    ours, theirs, flops = map(float, done.stdout.split()[-3:])
    ratio = theirs / ours
    off = ratio / flops - 1
    return [Row(
        "a step with conv5 learning and the rest frozen, 224 px, batch 32, from cached activations",
        "the same step from pictures, the frozen part recomputed", ours, theirs, "s", ratio,
        f"the ratio of the FLOPs, {flops:.3g}x, within 20 %", abs(off) <= 0.2,
        f"the FLOPs of conv5 and Adam's pass over its 15 M parameters; {off:+.0%} from the "
        "FLOPs' ratio", f"{COMMAND} block",
    )]  # fmt: skip


def median_seconds(step: Callable[[], object], count: int) -> float:
    """The median of so many calls, after three that do not count."""
    taken = []
    for _ in range(count + 3):
        started = time.perf_counter()
        step()
        taken.append(time.perf_counter() - started)
    return median(taken[3:])


if __name__ == "__main__":
    main()
