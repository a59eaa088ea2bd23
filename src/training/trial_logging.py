"""Records of a trial in MLflow besides its metrics: description, tables, figures and model."""

import contextlib
import functools
import json
import math
import traceback
from collections.abc import Callable, Mapping

import pandas as pd

from src.config import flatten, run_name
from src.config.study_schema import Figures, KeepModel
from src.core import names
from src.core.console import stderr
from src.core.metrics import metrics_by_band
from src.core.signals import whole_step
from src.data.splits import PARTS
from src.model.regressor import inference_model
from src.tracking import Run, best_cost, provenance
from src.training import figures
from src.training.active import ActiveTrial
from src.training.measurement import Measured
from src.training.program import Program

_PROSE = ("study.question", "study.claims")  # in config.json, not in the parameters of a trial


def log_start(trial: ActiveTrial) -> None:
    """Logs to a new run everything that is known before the first step, the parameters last."""
    run, config, dataset = trial.run, trial.config, trial.dataset
    if not run.is_new:
        return
    run.log_text(json.dumps(flatten(config), indent=2), names.CONFIG_FILE)
    run.log_faces(
        dataset.faces[["file_name", config.target.column, "split"]],
        source=str(dataset.root),
        name=str(config.data.layout),
        digest=dataset.digest,
    )
    run.log_table(dataset.findings, names.AUDIT_FILE)
    run.log_text(provenance.packages(), names.PACKAGES_FILE)
    run.log_text(json.dumps(provenance.machine(), indent=2), names.MACHINE_FILE)
    run.log_text(provenance.git_diff(), names.GIT_DIFF_FILE)
    values = {key: value for key, value in flatten(config).items() if key not in _PROSE}
    run.log_params(
        values
        | {names.LOG10_LEARNING_RATE: f"{math.log10(config.optimizer.learning_rate):.4f}"}
        | {f"num_{name}": len(dataset.part(name)) for name in PARTS}
    )


def log_artifacts(
    trial: ActiveTrial, program: Program, measured: Mapping[str, Measured], cost: float,
    may_be_best: bool,
) -> str:  # fmt: skip
    """Stores the tables, figures and model of a trial. A failure of one does not stop the others.

    Each failure is shown on screen, and in a tag of the run.

    Args:
        trial: The trial.
        program: With the weights of the kept epoch.
        measured: Parts of the data as that epoch predicts them.
        cost: See `Objective.cost`.
        may_be_best: Whether the trial can be the best of its study.

    Returns:
        The failures, or an empty text.
    """
    run, config = trial.run, trial.config

    @functools.cache
    def is_best() -> bool:
        return may_be_best and not run.pruned and cost < best_cost(
            run.experiment_id, config.study.name, trial.dataset.digest, trial.history.objective
        )  # fmt: skip

    def store_tables() -> None:
        column = config.target.column
        for name, part in measured.items():
            run.log_table(part.table(column), names.predictions_file(name))
            bands = metrics_by_band(part.part.labels, part.predictions, config.target.bands)
            run.log_table(pd.DataFrame(bands), names.bands_file(name, column))

    def store_figures() -> None:
        if trial.draws is Figures.all or (trial.draws is Figures.best and is_best()):
            title, history, target = run_name(config), trial.history, config.target
            curve = figures.learning_curve(history, title, target)
            run.log_figure(curve, names.LEARNING_CURVE_FILE)
            title = f"{title}, epoch {history.kept_epoch}"
            scatter = figures.predicted_against_true(measured["val"], title, target)
            run.log_figure(scatter, names.PREDICTIONS_FIGURE_FILE)

    def store_model() -> None:
        keep = config.tracking.keep_model
        if not run.pruned and (keep is KeepModel.all or (keep is KeepModel.best and is_best())):
            run.log_model(
                inference_model(program.regressor), config.data.image_size, config.target.output
            )

    steps = {"tables": store_tables, "figures": store_figures, "model": store_model}
    failures = [failure for name, store in steps.items() if (failure := _failure(run, name, store))]
    if failures:
        run.set_tags({names.ARTIFACT_FAILURE: "; ".join(failures)})
    return "; ".join(failures)


def _failure(run: Run, name: str, store: Callable[[], None]) -> str:
    """Stores one kind of artifact, and returns why that failed, or an empty text."""
    try:
        with whole_step():  # an interrupt within Keras may become another error
            store()
    except Exception as error:
        reason = f"{name}: {type(error).__name__}: {error}"
        stderr.print(
            f"The trial is complete, but an artifact could not be stored. Received: {reason}. "
            "Fix: the cause, then the same command again; it stores the artifact without training",
            markup=False,
        )
        with contextlib.suppress(Exception):  # the disk may be full
            run.log_text(traceback.format_exc(), names.TRACEBACK_FILE)
        return reason
    return ""
