"""From a command line to a study: an oracle is chosen, the loop run."""

import copy
import functools
import hashlib
import math
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra_plugins.oracle_sweeper._command import read
from hydra_plugins.oracle_sweeper._compose import Composer
from hydra_plugins.process_launcher.launcher import ProcessLauncher
from omegaconf import DictConfig, OmegaConf

from src.config import Config, identity, to_config
from src.core.console import stderr
from src.core.errors import UsageError
from src.core.imports import large_imports
from src.search.space import Hyperparameter, Interval, Space

if TYPE_CHECKING:
    from hydra_plugins.oracle_sweeper.sweeper import OracleSweeper

    from src.search.loop import Loop, Rules
    from src.search.oracles import Search


def sweep(sweeper: "OracleSweeper", arguments: Sequence[str]) -> Any:
    """Run a study, or say what it would cost.

    Raises:
        ValueError: If something that was typed cannot be used.
        RuntimeError: If the study ended early, or trials failed.
        KeyboardInterrupt: If it was interrupted; all that ran has saved its state.
    """
    context, config = sweeper.hydra_context, sweeper.config
    if context is None or config is None or sweeper.launcher is None:
        raise RuntimeError("Hydra calls setup() before sweep()")
    settings = sweeper.settings
    command = read(settings["params"], arguments, context.config_loader)
    check_settings(settings, command.space)
    folder = Path(str(config.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")

    compose = Composer(
        lambda overrides: copy.deepcopy(context.config_loader.load_sweep_config(config, overrides)),
        context.config_loader,
    )
    base = compose(command.first())
    is_ours = OmegaConf.get_type(base) is Config
    some_config = _check_base(base, command.space) if is_ours else None
    with large_imports():  # keras-tuner imports TensorFlow
        from hydra_plugins.oracle_sweeper._workers import BatchWorkers, ProcessWorkers

        from src.search.launch import Order
        from src.search.loop import Loop, Rules
        from src.search.memory import MemoryBook
        from src.search.plan import plan_study
        from src.search.sweep import run_study

    launcher = sweeper.launcher
    if isinstance(launcher, ProcessLauncher):
        workers: ProcessWorkers | BatchWorkers = ProcessWorkers(launcher)
    else:
        workers = BatchWorkers(launcher, _batch_size(settings))

    def search() -> "Search":
        return _search(settings, command.space, base)

    if not is_ours:
        book = MemoryBook(
            command.overrides, lambda overrides: sweeper.validate_batch_is_legal([overrides])
        )
        never = Rules(num_retries=0, max_failures_in_a_row=sys.maxsize)
        loop = Loop(search(), book, workers, never, on_end=lambda job: None)
        loop.prepare()
        loop.run()
        _raise_first_failure(loop, workers.returns)
        return workers.returns

    if settings["oracle"] == "hyperband" and str(base.pruner.name) != "none":
        raise UsageError(
            "Hyperband gives up trials itself. "
            f"Received: pruner={base.pruner.name}. Fix: pruner=none, or another oracle"
        )

    @functools.cache  # composing takes a tenth of a second, and some are asked for twice
    def checked(overrides: tuple[str, ...]) -> Config:
        return to_config(compose(overrides))

    order = Order(
        experiment=str(base.tracking.experiment),
        study=str(base.study.name),
        question=str(base.study.question),
        command=shlex.join(
            ["python", *sys.orig_argv[1:]]
        ),  # as typed: sys.argv is adapted to Hydra
        oracle=settings["oracle"],
        definition=_definition(settings, command.space, some_config),
        base=some_config,
        make_search=search,
        make_stand_in=lambda: _search(settings, command.space, base, is_stand_in=True),
        compose=lambda overrides: checked(tuple(overrides)),
        overrides=command.overrides,
        max_epochs=int(base.fit.epochs),
        rules=_rules(settings),
    )
    if settings["mode"] == "plan":
        if not isinstance(workers, ProcessWorkers):
            raise UsageError(
                "A plan times its trials in processes of our own launcher. "
                "Received: another hydra/launcher. Fix: hydra/launcher=processes"
            )
        plan_study(order, workers)
        return []
    if isinstance(workers, ProcessWorkers):
        stderr.print(f"To watch a trial: tail -f {folder}/<its number>/output.log", markup=False)
    try:
        run_study(order, workers)
    except (KeyboardInterrupt, SystemExit):
        print("Interrupted. The same command goes on where this one stopped.")
        sys.exit(130)
    return workers.returns


def _batch_size(settings: Mapping[str, Any]) -> float:
    if settings["max_batch_size"] is not None:
        return float(settings["max_batch_size"])
    return 1 if settings["oracle"] == "bayesian" else math.inf


def _rules(settings: Mapping[str, Any]) -> "Rules":
    from src.search.loop import Rules

    what, _, num_retries = settings["on_failure"].partition(":")
    return Rules(
        num_replicates=settings["replicates"],
        num_retries=int(num_retries or 0),
        stops_on_failure=what == "stop",
        max_failures_in_a_row=settings["max_failures_in_a_row"],
    )


def _definition(settings: Mapping[str, Any], space: Space, base: Config | None) -> dict[str, Any]:
    """What shapes the sequence of suggestions."""
    around = {"_target_", "params", "on_failure", "max_failures_in_a_row", "max_batch_size",
              "mode"}  # fmt: skip
    shape = {f"hydra.sweeper.{key}": value for key, value in settings.items() if key not in around}
    shape |= {hyperparameter.key: _short(hyperparameter) for hyperparameter in space}
    if base is not None:
        swept = {hyperparameter.key.lstrip("+") for hyperparameter in space}
        shape |= {
            key: value
            for key, value in identity(base).items()
            if not any(key == one or key.startswith(f"{one}.") for one in swept)
        }
    return shape


def _check_base(tree: DictConfig, space: Space) -> Config | None:
    """The configuration of some trial; None where it is refused for what is swept alone.

    Raises:
        UsageError: With the mistakes that all trials share.
    """
    try:
        return to_config(tree)
    except UsageError as error:
        keys = [hyperparameter.key for hyperparameter in space]
        shared = [line for line in str(error).splitlines() if not any(k in line for k in keys)]
        if shared:
            raise UsageError("\n".join(shared)) from None
        return None


def _short(hyperparameter: Hyperparameter) -> str:
    """In so few characters that a space fits into a tag of the store."""
    text = str(hyperparameter)
    return text if len(text) < 300 else hashlib.sha256(text.encode()).hexdigest()


def _raise_first_failure(loop: "Loop", returns: Sequence[Sequence[JobReturn]]) -> None:
    """As Hydra's own sweeper does, by looking at each result."""
    for batch in returns:
        for result in batch:
            _ = result.return_value
    for job in loop.jobs:
        if job.outcome is not None and job.outcome.failure:
            raise HydraException(f"Job {job.number}: {job.outcome.failure}")


def _search(
    settings: Mapping[str, Any], space: Space, base: DictConfig, is_stand_in: bool = False
) -> "Search":
    """The oracle; to count trials, random draws can stand in for costly ones."""
    from src.search import oracles

    oracle, seed, max_trials = settings["oracle"], settings["seed"], settings["max_trials"]
    match oracle:
        case "grid":
            return oracles.grid(space, seed, max_trials)
        case "bayesian" if not is_stand_in:
            return oracles.bayesian(
                space, seed, max_trials, settings["num_initial_points"], settings["noise"],
                settings["exploration"],
            )  # fmt: skip
        case "random" | "bayesian":
            return oracles.random(space, seed, max_trials)
        case _:
            return oracles.hyperband(
                space, seed, int(base.fit.epochs), settings["reduction_factor"],
                settings["iterations"],
            )  # fmt: skip


def check_settings(settings: Mapping[str, Any], space: Space) -> None:
    """Refuse what cannot work before anything heavy is imported.

    Raises:
        UsageError: With the setting and its fix.
    """
    oracle, max_trials = settings["oracle"], settings["max_trials"]
    if oracle not in _ORACLES:
        raise _refused("oracle", f"be one of {', '.join(_ORACLES)}", oracle, "grid")
    if settings["mode"] not in ("run", "plan"):
        raise _refused("mode", "be run or plan", settings["mode"], "run")
    if oracle in ("random", "bayesian") and max_trials is None:
        raise _refused("max_trials", f"be given for {oracle}", "null", 20)
    if oracle != "grid" and not space:
        raise UsageError(
            f"There is nothing to search: no key has several values. Received: oracle={oracle}. "
            "Fix: 'optimizer.learning_rate=tag(log,interval(1e-5,1e-3))', or another key"
        )
    if oracle == "hyperband" and max_trials is not None:
        raise _refused("max_trials", "be null: hyperband's epochs decide", max_trials, "null")
    least = {
        "max_trials": 1, "replicates": 1, "max_failures_in_a_row": 1, "max_batch_size": 1,
        "num_initial_points": 1, "iterations": 1, "reduction_factor": 2, "seed": 0,
    }  # fmt: skip
    for name, low in least.items():
        if settings[name] is not None and settings[name] < low:
            raise _refused(name, f"be >= {low}", settings[name], low)
    if re.fullmatch(r"continue|stop|retry:\d+", settings["on_failure"]) is None:
        must = "be continue, stop or retry:<n>"
        raise _refused("on_failure", must, settings["on_failure"], "retry:1")
    keys = [hyperparameter.key for hyperparameter in space]
    if "seed" in keys and settings["replicates"] > 1:
        raise _refused("replicates", "be 1 where seed itself is swept", settings["replicates"], 1)
    if oracle == "hyperband" and ("fit.epochs" in keys or "fit.fidelity" in keys):
        raise UsageError(
            "Hyperband itself decides how many of fit.epochs a trial may spend. "
            "Received: a sweep over fit.epochs. Fix: fit.epochs=<the most>"
        )
    if oracle == "grid":
        for hyperparameter in space:
            if isinstance(hyperparameter.domain, Interval):
                domain = hyperparameter.domain
                raise UsageError(
                    "A grid needs a list of values for each key. Received: "
                    f"{hyperparameter.key}=interval({domain.low:g},{domain.high:g}). "
                    f"Fix: {hyperparameter.key}=choice(…), or hydra.sweeper.oracle=random"
                )


def _refused(name: str, must: str, received: Any, fix: Any) -> UsageError:
    return UsageError(
        f"`hydra.sweeper.{name}` must {must}. Received: {received}. Fix: hydra.sweeper.{name}={fix}"
    )


_ORACLES = ("grid", "random", "bayesian", "hyperband")
