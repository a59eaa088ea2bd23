"""What a trial leaves in MLflow beside its curves."""

import json
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from src.config import Config, configuration_hash, flatten, objective_of, run_name
from src.config.schema import KeepModel
from src.core.metrics import metrics_by_age_band
from src.data import Dataset
from src.model import inference_model
from src.tracking import Run, best_cost, provenance
from src.training import figures
from src.training.history import EpochRecord, History
from src.training.measurement import Measured, final_metrics, measure, part_metrics
from src.training.program import Program

_PROSE = ("study.question", "study.claims")  # in config.json, and no parameters of a trial


def tags(config: Config, data_digest: str) -> dict[str, str]:
    """What a run is found by."""
    found_by = {
        "study": config.study.name,
        "configuration_hash": configuration_hash(config),
        "data_digest": data_digest,
        "mlflow.source.git.commit": provenance.git_commit(),
    }
    if config.study.trial is not None:
        found_by["trial"] = str(config.study.trial)
    return found_by


def log_start(run: Run, config: Config, dataset: Dataset) -> None:
    """Everything that is known before the first step; the parameters say that it is all there."""
    run.log_text(json.dumps(flatten(config), indent=2), "config.json")
    run.log_faces(
        dataset.faces[["file_name", "age", "split"]],
        source=str(dataset.root),
        name=str(config.data.layout),
        digest=dataset.digest,
    )
    run.log_table(dataset.findings, "audit.csv")
    run.log_text(provenance.packages(), "provenance/packages.txt")
    run.log_text(json.dumps(provenance.machine(), indent=2), "provenance/machine.json")
    run.log_text(provenance.git_diff(), "provenance/git.diff")
    values = {key: value for key, value in flatten(config).items() if key not in _PROSE}
    run.log_params(
        values
        | {"log10_learning_rate": f"{math.log10(config.optimizer.learning_rate):.4f}"}
        | {f"num_{name}": len(dataset.part(name)) for name in ("train", "val", "test")}
    )


def log_outcome(
    run: Run,
    config: Config,
    dataset: Dataset,
    program: Program,
    measured: Mapping[str, Measured],
    history: History,
    may_be_best: bool = True,
) -> dict[str, float]:
    """Everything that is known at the end.

    Args:
        run: The trial's run.
        config: The trial's configuration.
        dataset: The trial's faces.
        program: With its best epoch's weights.
        measured: Training faces (`train`) and validation faces (`val`) as that epoch predicts them.
        history: All epochs.
        may_be_best: Whether it can still be the best of its study, whose model is kept.

    Returns:
        The trial's final scalars.
    """
    parts = dict(measured)
    train_ages = dataset.part("train").ages
    metrics = final_metrics(history, parts["train"], parts["val"], train_ages)
    if config.fit.evaluate_test:
        parts["test"] = measure(program.regressor, dataset.part("test"), config.fit.eval_batch_size)
        metrics |= part_metrics("test", parts["test"], train_ages)
    for name, part in parts.items():
        run.log_table(part.table(), f"predictions/{name}.parquet")
        run.log_table(_by_age_band(part), f"metrics/{name}_by_age_band.csv")
    title = run_name(config)
    run.log_figure(figures.learning_curve(history, title), "figures/learning_curve.png")
    run.log_figure(
        figures.predicted_against_true(parts["val"], f"{title}, epoch {history.best_epoch}"),
        "figures/predicted_against_true.png",
    )
    if _keeps_model(run, config, dataset, metrics["best/val_mae"], may_be_best):
        output = f"{config.target.name}_{config.target.unit}"
        run.log_model(inference_model(program.regressor), config.data.image_size, output)
    metrics["memory/peak_gib"] = provenance.peak_memory_gib()
    run.log_final(metrics)
    return metrics


def log_duration(
    run: Run, history: History, inherited: Sequence[EpochRecord], elapsed: float
) -> None:
    """`time/trial_seconds`: what the trial took, without pauses between its processes.

    Args:
        run: The trial's run.
        history: All its epochs.
        inherited: Those that were finished when this process began.
        elapsed: Seconds of this process.
    """
    earlier = sum(epoch["time/epoch_seconds"] for epoch in inherited)
    run.log_final({"time/trial_seconds": earlier + elapsed})


def _by_age_band(measured: Measured) -> pd.DataFrame:
    return pd.DataFrame(metrics_by_age_band(measured.part.ages, measured.predictions))


def _keeps_model(
    run: Run, config: Config, dataset: Dataset, val_mae: float, may_be_best: bool
) -> bool:
    if run.pruned:
        return False
    if config.tracking.keep_model is KeepModel.best:
        return may_be_best and val_mae < best_cost(
            run.experiment_id, config.study.name, dataset.digest, objective_of(config.study)
        )
    return config.tracking.keep_model is KeepModel.all
