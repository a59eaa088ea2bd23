"""From a command line to a study: read it, choose search and workers, run."""

import functools
import hashlib
import itertools
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra_plugins.oracle_sweeper._command import Command, read
from hydra_plugins.oracle_sweeper._compose import Compose, composer
from hydra_plugins.process_launcher.launcher import ProcessLauncher
from omegaconf import DictConfig, OmegaConf

from src.config import Config, identity, objective_of, to_config
from src.config.study_schema import PrunerName
from src.core.console import stderr
from src.core.errors import UsageError
from src.core.imports import large_imports
from src.records.terms import Terms
from src.search.launch import Launch
from src.search.loop import Workers
from src.search.settings import SweepSettings, check_settings
from src.search.space import Hyperparameter, as_override

if TYPE_CHECKING:
    from hydra_plugins.oracle_sweeper.sweeper import OracleSweeper


def sweep(sweeper: "OracleSweeper", arguments: Sequence[str]) -> list[list[JobReturn]]:
    """Runs a study, or prints what it would cost; returns the results of another task's jobs.

    Raises:
        UsageError: If the command line cannot be used.
        EnvironmentFaultError: If the study ended early, or trials failed.
        SystemExit: If it was interrupted; all that ran has saved its state.
    """
    config, settings = sweeper.config, sweeper.settings
    loader = sweeper.hydra_context.config_loader
    command = read(settings.params, arguments, loader)
    check_settings(settings, command.space)
    folder = Path(str(config.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")
    compose = composer(lambda overrides: loader.load_sweep_config(config, overrides), loader)
    first = {k: as_override(v) for each in settings.configurations[:1] for k, v in each.items()}
    base = compose(command.overrides(first or command.first()))
    if OmegaConf.get_type(base) is not Config:
        return _run_other_task(sweeper, command)
    launch = _describe(settings, command, compose, base)
    _check_epochs(settings, launch.terms, base)
    _run_study(sweeper.launcher, launch)
    return []


def _describe(
    settings: SweepSettings, command: Command, compose: Compose, base: DictConfig
) -> Launch:
    keys = {each.key.lstrip("+") for each in command.space}
    keys |= {key for values in settings.configurations for key in values}
    some_config = _check_base(base, keys)
    target: Any = OmegaConf.to_object(base.target)
    study: Any = OmegaConf.to_object(base.study)
    checked = functools.cache(lambda overrides: to_config(compose(overrides)))
    return Launch(
        experiment=str(base.tracking.experiment),
        study=study.name,
        question=study.question,
        command=shlex.join(["python", *sys.orig_argv[1:]]),  # sys.argv is adapted to Hydra
        terms=Terms(target, objective_of(study)),
        settings=settings,
        space=command.space,
        swept=keys,
        definition={
            **settings.compared(),
            **{each.key: _short(each) for each in command.space},
            **_unswept(some_config, keys),
        },
        base=some_config,
        max_epochs=int(base.fit.epochs),
        compose=lambda overrides: checked(tuple(overrides)),
        overrides=command.overrides,
    )


def _run_study(launcher: Any, launch: Launch) -> None:
    with large_imports():
        from hydra_plugins.oracle_sweeper._workers import BatchWorkers, ProcessWorkers

        from src.search.plan import plan_study
        from src.search.sweep import run_study

    workers: Workers = BatchWorkers(launcher, _batch_size(launch.settings) or math.inf)
    if isinstance(launcher, ProcessLauncher):
        workers = ProcessWorkers(launcher)
    if launch.settings.mode == "plan":
        plan_study(launch, workers)
        return
    if isinstance(launcher, ProcessLauncher):
        log = f"{launcher.folder}/<its number>/output.log"
        stderr.print(f"To watch a trial: tail -f {log}", markup=False)
    try:
        run_study(launch, workers)
    except (KeyboardInterrupt, SystemExit):
        print("Interrupted. The same command continues where this one stopped.")
        sys.exit(130)


def _run_other_task(sweeper: "OracleSweeper", command: Command) -> list[list[JobReturn]]:
    """Searches over the return value of an application that is not this project.

    Raises:
        Exception: The first failure of a job.
    """
    settings = sweeper.settings
    if settings.replicates > 1 or settings.search_class.takes_epochs:
        raise UsageError(
            "Only this project's trials have seeds and epochs. Received: "
            f"hydra.sweeper.replicates={settings.replicates} oracle={settings.oracle}. "
            "Fix: hydra.sweeper.replicates=1 hydra.sweeper.oracle=random"
        )
    search = settings.search_class(settings, command.space, max_epochs=1)
    returns: list[list[JobReturn]] = []
    while batch := list(itertools.islice(iter(search.ask, None), _batch_size(settings))):
        jobs = [command.overrides(suggestion.values) for suggestion in batch]
        sweeper.validate_batch_is_legal(jobs)
        results = list(sweeper.launcher.launch(jobs, sum(map(len, returns))))
        for suggestion, result in zip(batch, results, strict=True):
            value = result.return_value
            search.tell(suggestion.index, value if isinstance(value, int | float) else None)
        returns.append(results)
    return returns


def _batch_size(settings: SweepSettings) -> int | None:
    """Returns the most jobs of a batch; None for all that are known."""
    return settings.max_batch_size or (1 if settings.search_class.is_sequential else None)


def _check_epochs(settings: SweepSettings, terms: Terms, base: DictConfig) -> None:
    """Refuses a search over epochs together with a pruner, or for an outcome of whole trials."""
    if not settings.search_class.takes_epochs:
        return
    name, metric = settings.oracle.capitalize(), terms.objective.metric
    if base.pruner.name is not PrunerName.none:
        raise UsageError(
            f"{name} ends trials early itself. "
            f"Received: pruner={base.pruner.name}. Fix: pruner=none, or another oracle"
        )
    if terms.objective.epoch_metric is None:
        raise UsageError(
            f"{name} compares trials after few epochs, and `{metric}` has no value for an epoch. "
            f"Received: study.objective={metric}. Fix: study.objective=best/val_mae, or "
            "hydra.sweeper.oracle=bayesian"
        )


def _check_base(tree: DictConfig, swept: set[str]) -> Config | None:
    """Returns the configuration of some trial; None if only swept keys are refused.

    Raises:
        UsageError: With the mistakes that all trials share.
    """
    try:
        return to_config(tree)
    except UsageError as error:
        shared = [line for line in str(error).splitlines() if not any(k in line for k in swept)]
        if shared:
            raise UsageError("\n".join(shared)) from None
        return None


def _unswept(base: Config | None, swept: set[str]) -> dict[str, Any]:
    """Returns the keys that change a number and are not swept, by themselves or their group."""
    values = identity(base) if base is not None else {}
    prefixes = tuple(f"{key}." for key in swept)
    return {key: values[key] for key in values if not f"{key}.".startswith(prefixes)}


def _short(hyperparameter: Hyperparameter) -> str:
    """Returns a text that is short enough for a tag of the store."""
    text = str(hyperparameter)
    return text if len(text) < 300 else hashlib.sha256(text.encode()).hexdigest()
