"""Description of one launch of a study."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from src.config import Config
from src.records.terms import Terms
from src.search.search import Search, Suggestion
from src.search.settings import SweepSettings
from src.search.space import Space


@dataclass(frozen=True)
class Launch:
    """Description of a launch.

    Attributes:
        experiment: MLflow's experiment.
        study: Name of the study.
        question: The question that the study answers.
        command: The command line.
        terms: Target and objective of the study.
        settings: Those of the sweep.
        space: Swept keys with their domains.
        swept: All keys and groups that differ between trials, also those of listed configurations.
        definition: Everything that shapes the sequence of suggestions: settings, space, and the
            values of all keys that are not swept.
        base: Configuration of some trial; None if it is refused.
        max_epochs: Epochs that a trial may train, where epochs are not swept.
        compose: Returns the checked configuration of overrides; raises `UsageError`.
        overrides: Returns all overrides of a trial, from its swept values.
    """

    experiment: str
    study: str
    question: str
    command: str
    terms: Terms
    settings: SweepSettings
    space: Space
    swept: Set[str]
    definition: Mapping[str, Any]
    base: Config | None
    max_epochs: int
    compose: Callable[[Sequence[str]], Config]
    overrides: Callable[[Mapping[str, str]], list[str]]

    def make_search(self) -> Search:
        """Returns a search at its start."""
        return self.settings.search_class(self.settings, self.space, self.max_epochs)


def simulate(launch: Launch) -> Iterator[tuple[Suggestion, int, int]]:
    """Yields the suggestions of a search with invented results, for counting.

    Each comes with the epochs of its trial, without those of the trial that it continues, and with
    the number of trials that then wait for a promotion. The cost of Hyperband does not depend on
    the results.
    """
    search = launch.make_search()
    ends: list[int] = []
    for suggestion in iter(search.ask, None):
        if not search.is_sequential:  # without results it draws at random, which takes no time
            search.tell(suggestion.index, float(suggestion.index * 7919 % 101))
        past = suggestion.promoted_from
        ends.append(suggestion.epochs or launch.max_epochs)
        num_epochs = ends[-1] - (0 if past is None else ends[past])
        yield suggestion, num_epochs, len(search.waiting_for_promotion())
