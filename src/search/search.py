"""The interface of a search: it suggests configurations, and is given the results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from src.search.space import Space

if TYPE_CHECKING:
    from src.search.settings import SweepSettings


@dataclass(frozen=True)
class Suggestion:
    """A configuration that a search wants to have evaluated.

    Attributes:
        index: Its number in the sequence of suggestions, from 0.
        values: Text of an override by key; keys whose condition does not hold are left out.
        epochs: Fidelity: epochs that the trial may train in all; None for all of them.
        promoted_from: Index of the suggestion whose trial is continued, or None.
        bracket: Hyperband's s, or None.
        rung: Hyperband's i, or None.
    """

    index: int
    values: Mapping[str, str]
    epochs: int | None = None
    promoted_from: int | None = None
    bracket: int | None = None
    rung: int | None = None


class Search(Protocol):
    """Source of suggestions. Its traits are class attributes, known before it is created.

    A subclass in a module of `src/search/families/` is found by its `name`; no other file lists it.
    It imports heavy libraries when it is created, not with its module. The same settings, and the
    same calls in the same order, must give the same suggestions: that is how a study is resumed.

    Attributes:
        name: Value of `hydra.sweeper.oracle` that selects it.
        is_adaptive: Suggestions depend on results, so the order of calls is recorded.
        is_sequential: Each suggestion depends on every earlier result, and costs time to compute.
            Its trials do not train as stacked heads. Without results it suggests at random.
        is_listed: A person has listed its configurations. An invalid one is refused before anything
            runs; of other searches it becomes an infeasible trial.
        needs_max_trials: It has no end of its own.
        takes_epochs: It decides how many epochs a trial may train, up to `fit.epochs`.
        takes_configurations: It runs `hydra.sweeper.configurations`, and sweeps no other key.
        takes_intervals: A swept key may have an interval; otherwise it needs a list of values.
        shortfall: Promotions that had no candidate, because trials failed.
    """

    name: ClassVar[str]
    is_adaptive: ClassVar[bool] = False
    is_sequential: ClassVar[bool] = False
    is_listed: ClassVar[bool] = False
    needs_max_trials: ClassVar[bool] = False
    takes_epochs: ClassVar[bool] = False
    takes_configurations: ClassVar[bool] = False
    takes_intervals: ClassVar[bool] = True
    shortfall: int = 0

    def __init__(self, settings: "SweepSettings", space: Space, max_epochs: int) -> None:
        """Starts the search; `max_epochs` is `fit.epochs`."""

    def ask(self) -> Suggestion | None:
        """Returns the next suggestion; None if there is none before further results, or at all."""

    def tell(self, index: int, cost: float | None) -> None:
        """Takes the result of a suggestion: a number to minimise, or None for a failed trial."""

    def remember(self, index: int, values: Mapping[str, str]) -> None:
        """Takes a suggestion of a former launch, so that it need not be computed again."""

    def waiting_for_promotion(self) -> set[int]:
        """Returns the indices of suggestions whose trials may be continued later."""
        return set()
