"""Searches that run a given list: all combinations of values, or listed configurations."""

from collections.abc import Iterable, Iterator, Mapping

from src.search.search import Search, Suggestion
from src.search.settings import SweepSettings
from src.search.space import Choices, Hyperparameter, Space, as_override


class _ListedSearch(Search):
    """A search that knows its suggestions when it starts."""

    is_listed = True
    _suggestions: Iterator[Suggestion]

    def ask(self) -> Suggestion | None:
        """Returns the next configuration of the list."""
        return next(self._suggestions, None)


class GridSearch(_ListedSearch):
    """Every combination, or the first `max_trials`; the last key varies fastest."""

    name = "grid"
    takes_intervals = False

    def __init__(self, settings: SweepSettings, space: Space, max_epochs: int) -> None:
        """Lists all combinations."""
        combinations: list[dict[str, str]] = [{}]
        for each in space:  # parents come before the children whose conditions name them
            combinations = [
                {**values, **chosen} for values in combinations for chosen in _choices(each, values)
            ]
        self._suggestions = _suggestions(combinations[: settings.max_trials])


class ListSearch(_ListedSearch):
    """The configurations of `hydra.sweeper.configurations`, in their order."""

    name = "list"
    takes_configurations = True

    def __init__(self, settings: SweepSettings, space: Space, max_epochs: int) -> None:
        """Starts at the first configuration."""
        self._suggestions = _suggestions(
            {key: as_override(value) for key, value in values.items()}
            for values in settings.configurations[: settings.max_trials]
        )


def _choices(hyperparameter: Hyperparameter, values: Mapping[str, str]) -> list[dict[str, str]]:
    """Returns the choices for a key beside these values; none of it if its condition fails."""
    key, domain, condition = hyperparameter.key, hyperparameter.domain, hyperparameter.condition
    if condition is not None and values.get(condition.key) not in condition.texts:
        return [{}]
    return [{key: text} for text in domain.texts] if isinstance(domain, Choices) else []


def _suggestions(configurations: Iterable[Mapping[str, str]]) -> Iterator[Suggestion]:
    return (Suggestion(index, values) for index, values in enumerate(configurations))
