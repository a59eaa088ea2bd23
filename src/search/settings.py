"""Settings of a sweep: `hydra.sweeper.*`."""

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any

from src.config.keys import REQUIRED
from src.core.errors import UsageError
from src.search.families import search_classes
from src.search.search import Search
from src.search.space import Interval, Space


def _about(is_compared: bool = True, least: int | None = None, neutral: Any = REQUIRED) -> Any:
    """Returns the metadata of a setting.

    Args:
        is_compared: Whether it shapes the sequence of suggestions. Then an adaptive search of a
            study must be resumed with the same value.
        least: Least number that is allowed.
        neutral: Value that stands for the behaviour before the setting was introduced: a study that
            was begun without the setting is resumed with this value. `REQUIRED` for a setting that
            every record has; a setting that is added now has another.
    """
    return {"is_compared": is_compared, "least": least, "neutral": neutral}


def _setting(default: Any, is_compared: bool = True, least: int | None = None) -> Any:
    return field(default=default, metadata=_about(is_compared, least))


@dataclass(frozen=True)
class SweepSettings:
    """The swept keys, the search, and the treatment of failed trials."""

    oracle: str = _setting("grid")  # a search's name; they are in src/search/families/
    # Overrides by key, such as `optimizer.learning_rate: choice(1e-5, 1e-4)`.
    params: dict[str, Any] = field(default_factory=dict, metadata=_about(is_compared=False))
    # list: one mapping of keys to values for each configuration
    configurations: list[dict[str, Any]] = field(default_factory=list, metadata=_about(neutral=[]))
    replicates: int = _setting(1, least=1)  # seeds for each configuration: seed, seed + 1, …
    # Configurations in all, also those of former launches; needed by random and bayesian.
    max_trials: int | None = _setting(None, least=1)
    seed: int = _setting(0, least=0)  # of the search's draws; the trials' is `seed`
    # continue | stop | retry:<n>, then continue
    on_failure: str = _setting("retry:1", is_compared=False)
    # Failed trials in a row that end the sweep.
    max_failures_in_a_row: int = _setting(3, is_compared=False, least=1)
    # Jobs at a time for a launcher that takes batches.
    max_batch_size: int | None = _setting(None, is_compared=False, least=1)
    mode: str = _setting("run", is_compared=False)  # run | plan: estimate the cost, run nothing
    # bayesian: Gaussian process, upper confidence bound; defaults are keras-tuner's
    num_initial_points: int | None = _setting(None, least=1)  # draws before; null: 3 a dimension
    noise: float = _setting(1e-4)  # variance of the objective, relative to that over trials
    exploration: float = _setting(2.6)  # standard deviations below the mean that a point is worth
    # hyperband: brackets of successive halving up to fit.epochs
    reduction_factor: int = _setting(3, least=2)  # η: a rung keeps 1/η of its trials
    iterations: int = _setting(1, least=1)  # times through all brackets

    @property
    def search_class(self) -> type[Search]:
        """The search that `oracle` names."""
        return search_classes()[self.oracle]

    def compared(self) -> dict[str, Any]:
        """Returns the settings that shape the suggestions; a neutral value is left out."""
        return {
            f"hydra.sweeper.{its.name}": getattr(self, its.name)
            for its in dataclasses.fields(SweepSettings)
            if its.metadata["is_compared"] and getattr(self, its.name) != its.metadata["neutral"]
        }


def check_settings(settings: SweepSettings, space: Space) -> None:
    """Refuses what cannot work, before anything heavy is imported.

    Raises:
        UsageError: With the setting and its fix.
    """
    oracle, max_trials, known = settings.oracle, settings.max_trials, search_classes()
    if oracle not in known:
        raise _refused("oracle", f"be one of {', '.join(known)}", oracle, "grid")
    search = settings.search_class
    for its in dataclasses.fields(SweepSettings):
        value, least = getattr(settings, its.name), its.metadata["least"]
        if least is not None and value is not None and value < least:
            raise _refused(its.name, f"be >= {least}", value, least)
    if settings.mode not in ("run", "plan"):
        raise _refused("mode", "be run or plan", settings.mode, "run")
    if re.fullmatch(r"continue|stop|retry:\d+", settings.on_failure) is None:
        must = "be continue, stop or retry:<n>"
        raise _refused("on_failure", must, settings.on_failure, "retry:1")
    if search.needs_max_trials and max_trials is None:
        raise _refused("max_trials", f"be given for {oracle}", "null", 20)
    if search.takes_epochs and max_trials is not None:
        raise _refused("max_trials", f"be null: {oracle}'s epochs decide", max_trials, "null")
    if settings.configurations and not search.takes_configurations:
        raise _refused("configurations", f"be empty for {oracle}", "a list", "[]")
    if search.takes_configurations and (space or not settings.configurations):
        received = f"{space[0].key} with several values" if space else "an empty list"
        raise UsageError(
            f"A {oracle} search runs `hydra.sweeper.configurations` and sweeps no other key. "
            f"Received: {received}. Fix: 'hydra.sweeper.configurations="
            "[{optimizer.learning_rate: 1e-4}, {optimizer.learning_rate: 1e-3}]', or "
            "hydra.sweeper.oracle=grid"
        )
    _check_space(settings, search, space)


def _check_space(settings: SweepSettings, search: type[Search], space: Space) -> None:
    keys = [hyperparameter.key for hyperparameter in space]
    if not search.is_listed and not space:
        raise UsageError(
            f"There is nothing to search: no key has several values. Received: oracle={search.name}"
            ". Fix: 'optimizer.learning_rate=tag(log,interval(1e-5,1e-3))', or another key"
        )
    if "seed" in keys and settings.replicates > 1:
        raise _refused("replicates", "be 1 where seed itself is swept", settings.replicates, 1)
    if search.takes_epochs and ("fit.epochs" in keys or "fit.fidelity" in keys):
        raise UsageError(
            f"{search.name.capitalize()} itself decides how many of fit.epochs a trial may spend. "
            "Received: a sweep over fit.epochs. Fix: fit.epochs=<the most>"
        )
    intervals = [each.key for each in space if isinstance(each.domain, Interval)]
    if intervals and not search.takes_intervals:
        raise UsageError(
            f"A {search.name} needs a list of values for each key. Received: {intervals[0]}="
            f"interval(…). Fix: {intervals[0]}=choice(…), or hydra.sweeper.oracle=random"
        )


def _refused(name: str, must: str, received: Any, fix: Any) -> UsageError:
    return UsageError(
        f"`hydra.sweeper.{name}` must {must}. Received: {received}. Fix: hydra.sweeper.{name}={fix}"
    )
