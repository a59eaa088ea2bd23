"""Cost of recording trials in MLflow: an epoch of one, a thousand stacked heads, one whole trial.

    python -m tests.benchmarks.logging_cost          # a minute on 2 cores
    python -m tests.benchmarks.logging_cost 100      # a hundred runs instead of a thousand

The peer of an epoch and of a whole trial is MLflow's tutorial: one call for each value, measured on
a few runs. The peer of many runs is MLflow's fastest public way: one `log_batch` for each run.
Nothing is trained. Each side writes into a store of its own.
"""

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from src.records.terms import neutral_target
from src.tracking import Run, Start, provenance, trial_runs
from src.tracking.store import open_store
from src.tracking.study import StudyStore
from src.training import figures
from src.training.history import History
from tests.benchmarks import rows
from tests.benchmarks.rows import Row

COMMAND = "python -m tests.benchmarks.logging_cost"
EXPERIMENT = "face-age"
PEER = "mlflow.log_metric and its like, a call a value"
NUM_EPOCHS = 20
EPOCH_SECONDS = 60.0
KEYS = ("mae/train", "mae/val", "mae/gap", "loss/train", "loss/val", "loss/running",
        "learning_rate", "time/epoch_seconds")  # fmt: skip
PARAMS = {f"group.key_{number}": f"value {number}" for number in range(40)}
TAGS = {f"tag_{number}": f"value {number}" for number in range(6)}  # with those of a trial, ten
FINAL = {f"best/metric_{number}": 1.0 + number for number in range(8)}
SAMPLE = 3  # runs that the peer writes
NUM_WHOLE = 32  # runs that are recorded with all files


def main() -> None:
    """Measure and write the rows."""
    num_runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rows.write("logging_cost", [epoch_row(), many_row(num_runs), whole_row()])


def epoch_row() -> Row:
    """An epoch of one trial, as `Run.log_epochs` and as single values."""
    with new_store(), trial_runs(EXPERIMENT, [Start("ours", {})], system_metrics=False) as (run,):
        ours = median_seconds(lambda epoch: run.log_epochs([record(epoch)]))
    with new_store(), mlflow.start_run():
        theirs = median_seconds(log_epoch_by_values)
    share = ours / EPOCH_SECONDS
    return Row(
        f"logging an epoch of one trial, {len(KEYS)} metrics: {share:.4%} of an epoch "
        "of 60 s",
        PEER, 1000 * ours, 1000 * theirs, "ms an epoch", theirs / ours,
        "<= 0.5 % of an epoch of 60 s", share <= 0.005,
        "", COMMAND,
    )  # fmt: skip


def many_row(num_runs: int) -> Row:
    """Many stacked heads of twenty epochs: everything but their files."""
    with new_store():
        started = time.perf_counter()
        log_many(num_runs)
        ours = time.perf_counter() - started
    with new_store() as experiment_id:
        started = time.perf_counter()
        for number in range(num_runs):
            log_one_batch(experiment_id, number)
        theirs = time.perf_counter() - started
    return Row(
        f"logging {num_runs:,} stacked heads, {NUM_EPOCHS} epochs of {len(KEYS)} metrics, "
        f"{len(PARAMS)} parameters, 10 tags",
        "MlflowClient: create_run, one log_batch and set_terminated a run", ours, theirs, "s",
        theirs / ours, ">= 0.5x: runs are opened first, resumable, and closed in their state",
        theirs / ours >= 0.5, "", COMMAND,
    )  # fmt: skip


def whole_row() -> Row:
    """One of many trials with all its files: inputs, tables, figures, predictions, numbers."""
    with new_store():
        log_many(2, log_files)  # Matplotlib and Arrow warm up
        started = time.perf_counter()
        log_many(NUM_WHOLE, log_files)
        ours = (time.perf_counter() - started) / NUM_WHOLE
    with new_store():
        started = time.perf_counter()
        for number in range(SAMPLE):
            log_by_values(number, log_files_by_mlflow)
        theirs = (time.perf_counter() - started) / SAMPLE
    started = time.perf_counter()
    for number in range(SAMPLE):
        for figure in drawn(number):
            figure.draw_without_rendering()
    drawing = (time.perf_counter() - started) / SAMPLE
    return Row(
        f"all that one of {NUM_WHOLE} stacked heads records in MLflow, with figures and "
        "predictions",
        PEER, 1000 * ours, 1000 * theirs, "ms a trial", theirs / ours,
        "<= 1 % of a trial of 60 s", ours <= 0.6,
        f"Matplotlib placing the two figures' artists, no pixel drawn: {1000 * drawing:.2g} ms",
        COMMAND,
    )  # fmt: skip


def log_many(num_runs: int, log_more: Callable[[Run, int], None] | None = None) -> None:
    """Records as a trainer of stacked heads does, from the opened study to the end of each run."""
    study = StudyStore(EXPERIMENT, "made")
    study.open_parent({})
    names = [f"trial {number}" for number in range(num_runs)]
    ids = [study.create_trial(name, {"trial": name}) for name in names]
    starts = [Start(name, TAGS, id_) for name, id_ in zip(names, ids, strict=True)]
    with trial_runs(EXPERIMENT, starts, system_metrics=False) as runs:
        for number, run in enumerate(runs):
            run.log_params(PARAMS)
            run.log_epochs([record(epoch) for epoch in range(1, NUM_EPOCHS + 1)])
            if log_more is not None:
                log_more(run, number)
            run.log_final(FINAL)
            run.close()


def log_one_batch(experiment_id: str, number: int) -> None:
    """Records one run by one call for all its values."""
    client, now = MlflowClient(), int(time.time() * 1000)
    run_id = client.create_run(experiment_id, run_name=f"trial {number}").info.run_id
    metrics = [Metric(key, value, now, epoch) for epoch in range(1, NUM_EPOCHS + 1)
               for key, value in record(epoch).items() if key != "epoch"]  # fmt: skip
    metrics += [Metric(key, value, now, 0) for key, value in FINAL.items()]
    params = [Param(key, value) for key, value in PARAMS.items()]
    client.log_batch(run_id, metrics, params, [RunTag(key, value) for key, value in TAGS.items()])
    client.set_terminated(run_id)


def log_by_values(number: int, log_more: Callable[[int], None] | None = None) -> None:
    """One run, each value by a call of its own."""
    with mlflow.start_run(run_name=f"trial {number}"):
        for key, value in PARAMS.items():
            mlflow.log_param(key, value)
        for key, value in TAGS.items():
            mlflow.set_tag(key, value)
        for epoch in range(1, NUM_EPOCHS + 1):
            log_epoch_by_values(epoch)
        for key, value in FINAL.items():
            mlflow.log_metric(key, value)
        if log_more is not None:
            log_more(number)


def log_files(run: Run, number: int) -> None:
    """Records that `src.training.trial_logging` keeps beside the numbers."""
    run.log_text(json.dumps(PARAMS, indent=2), "config.json")
    run.log_faces(FACES, source="data", name="made", digest="d")
    run.log_table(FACES.head(3), "audit.csv")
    run.log_text(provenance.packages(), "provenance/packages.txt")
    run.log_text(json.dumps(provenance.machine()), "provenance/machine.json")
    run.log_text(provenance.git_diff(), "provenance/git.diff")
    for part, num_faces in (("train", 2000), ("val", 1100)):
        run.log_table(FACES.head(num_faces), f"predictions/{part}.parquet")
        run.log_table(FACES.head(9), f"metrics/{part}_by_age_band.csv")
    for name, figure in zip(("learning_curve", "predicted_against_true"), drawn(number),
                            strict=False):  # fmt: skip
        run.log_figure(figure, f"figures/{name}.png")


def log_files_by_mlflow(number: int) -> None:
    """The same files by MLflow's own calls."""
    mlflow.log_dict(PARAMS, "config.json")
    mlflow.log_input(mlflow.data.from_pandas(FACES, source="data", digest="d"), "training")
    mlflow.log_text(FACES.head(3).to_csv(index=False), "audit.csv")
    mlflow.log_text(provenance.packages.__wrapped__(), "provenance/packages.txt")
    mlflow.log_dict(provenance.machine(), "provenance/machine.json")
    mlflow.log_text(provenance.git_diff(), "provenance/git.diff")
    for part, num_faces in (("train", 2000), ("val", 1100)):
        mlflow.log_table(FACES.head(num_faces), f"predictions/{part}.parquet")
        mlflow.log_text(FACES.head(9).to_csv(), f"metrics/{part}_by_age_band.csv")
    for name, figure in zip(("learning_curve", "predicted_against_true"), drawn(number),
                            strict=False):  # fmt: skip
        mlflow.log_figure(figure, f"figures/{name}.png", save_kwargs={"dpi": 120})


def drawn(number: int) -> Iterator[Figure]:
    """A trial's two figures, one at a time."""
    history = History("", tuple(record(epoch) for epoch in range(1, NUM_EPOCHS + 1)))
    yield figures.learning_curve(history, f"trial {number}", neutral_target())
    part = SimpleNamespace(labels=FACES["age"].to_numpy()[:1100])
    guesses = SimpleNamespace(part=part, predictions=FACES["prediction"].to_numpy()[:1100])
    yield figures.predicted_against_true(guesses, f"trial {number}", neutral_target())


def record(epoch: int) -> dict[str, float]:
    """The metrics of an epoch."""
    return {"epoch": epoch} | {key: 10.0 / epoch + place for place, key in enumerate(KEYS)}


def log_epoch_by_values(epoch: int) -> None:
    """An epoch, each value by a call of its own."""
    its = record(epoch)
    for key in KEYS:
        mlflow.log_metric(key, its[key], step=epoch)


def median_seconds(log: Callable[[int], None]) -> float:
    """Of twenty epochs."""
    seconds = []
    for epoch in range(1, NUM_EPOCHS + 1):
        started = time.perf_counter()
        log(epoch)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


@contextlib.contextmanager
def new_store() -> Iterator[str]:
    """Yields the experiment of an empty store in a working directory of its own."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        experiment_id = open_store(EXPERIMENT)
        mlflow.set_experiment(experiment_id=experiment_id)
        try:
            yield experiment_id
        finally:
            os.chdir(home)
            mlflow.set_tracking_uri(None)


def _made_faces() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    ages = rng.uniform(1, 90, 7500).round()
    return pd.DataFrame(
        {"row": range(7500), "file_name": [f"{number:06d}.jpg" for number in range(7500)],
         "age": ages, "prediction": (ages + rng.normal(0, 8, 7500)).astype(np.float32)}
    )  # fmt: skip


FACES = _made_faces()


if __name__ == "__main__":
    main()
