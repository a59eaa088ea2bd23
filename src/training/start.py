"""Start of a trial: its data, its earlier epochs, its run and its model."""

import functools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from src.config import Config, configuration_hash, objective_of, run_name
from src.core import names
from src.core.console import stderr
from src.core.errors import UsageError
from src.data import Dataset, prepare
from src.model.backbone import fetch_weights
from src.records.terms import Terms
from src.tracking import Run, Start, provenance, trial_runs
from src.tracking.study import StudyStore
from src.training.activations import Inputs, activation_inputs, picture_inputs, wants_activations
from src.training.checkpoint import Checkpoint
from src.training.history import History
from src.training.measurement import scalar_names
from src.training.program import Program, start_program


def prepare_data(config: Config) -> Dataset:
    """Checks what a trial needs, and returns its faces.

    Raises:
        UsageError: If trials do not log the objective, the study has another one, or the data is
            not usable as configured.
        MissingFileError: If data or weights are missing.
        EnvironmentFaultError: If the picture cache cannot be written.
    """
    objective, known = config.study.objective, scalar_names(config)
    if objective not in known:
        fix = "fit.evaluate_test=true, or " if objective.startswith("test/") else ""
        raise UsageError(
            f"A trial does not log `{objective}`; it logs {', '.join(sorted(known))}. Received: "
            f"study.objective={objective}. Fix: {fix}study.objective={names.BEST_VAL_MAE}"
        )
    if config.study.run_id is None:  # else the sweep has compared them
        study = StudyStore(config.tracking.experiment, config.study.name)
        study.refuse_other_terms(Terms(config.target, objective_of(config.study)))
    if config.model.weights is not None:
        fetch_weights(config.model.weights)  # before anything that takes time
    dataset = prepare(config.data, config.target)
    if config.fit.evaluate_test and len(dataset.part("test")) == 0:
        raise UsageError(
            "The test part of the split is empty. Received: fit.evaluate_test=true on "
            f"{len(dataset.faces)} usable faces. Fix: more faces, or fit.evaluate_test=false"
        )
    return dataset


def finished_epochs(config: Config, checkpoint: Checkpoint) -> History:
    """Returns the saved epochs that a trial resumes from; clears those that it cannot use."""
    if not config.fit.resume:
        checkpoint.clear()
    history = checkpoint.history(objective_of(config.study))
    if len(history) > config.fit.last_epoch:
        stderr.print(
            f"The checkpoint is past epoch {config.fit.last_epoch}; the trial starts again."
        )
        checkpoint.clear()
        return History("", (), history.objective)
    return history


def open_runs(
    configs: Sequence[Config], data_digest: str, histories: Sequence[History],
    common_tags: Mapping[str, str] | None = None,
) -> AbstractContextManager[list[Run]]:  # fmt: skip
    """Opens runs, see `trial_runs`: those of a sweep, the interrupted ones, or new ones.

    Args:
        configs: Configurations of at least one trial.
        data_digest: Digest of their faces; empty if these cannot be prepared.
        histories: Earlier epochs of each trial.
        common_tags: More tags of all runs.
    """
    starts = []
    for config, history in zip(configs, histories, strict=True):
        tags = {
            names.STUDY: config.study.name,
            names.CONFIGURATION_HASH: configuration_hash(config),
            names.DATA_DIGEST: data_digest,
            names.GIT_COMMIT: provenance.git_commit(),
            **(common_tags or {}),
        }
        if config.study.trial is not None:
            tags[names.TRIAL] = str(config.study.trial)
        starts.append(Start(run_name(config), tags, config.study.run_id or history.run_id or None))
    tracking = configs[0].tracking
    return trial_runs(tracking.experiment, starts, tracking.system_metrics)


def start_model(config: Config, dataset: Dataset) -> tuple[Program, Inputs]:
    """Returns the trial's initial model, and what it is trained and measured on.

    With frozen layers that is their cached activations. If these cannot be used, a line on screen
    says why, and pictures are used.
    """
    pictures = picture_inputs(config, dataset)
    mean_label = float(dataset.part("train").labels.mean())
    start = functools.partial(start_program, config, mean_label, len(pictures.batches))
    if wants_activations(config):
        program = start(is_cached=True)
        activations = program.frozen and activation_inputs(config, dataset, program.frozen)
        if activations is not None:
            return program, activations
    return start(is_cached=False), pictures
