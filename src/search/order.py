"""What a launch of a study is asked to do, and the loop that will do it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from src.errors import UsageError
from src.search.loop import Loop, Rules, Workers
from src.search.oracles import Search, Suggestion
from src.search.study import Compose, StudyBook
from src.tracking.study import StudyStore


@dataclass(frozen=True)
class Order:
    """What a launch is asked to do.

    Attributes:
        experiment: MLflow's experiment.
        study: Name of the study.
        question: What it is to answer.
        oracle: `grid`, `random`, `bayesian` or `hyperband`.
        definition: Everything that shapes the sequence of suggestions; may be longer lists for
            searches that do not learn, and more trials, but nothing else, when a study goes on.
        make_search: A fresh search.
        make_stand_in: One that costs as much, but may suggest other values: for counting.
        compose: From overrides to a checked configuration.
        overrides: All overrides of a trial, from its swept values.
        first: Overrides of some trial.
        rules: Replicates and failures.
    """

    experiment: str
    study: str
    question: str
    oracle: str
    definition: Mapping[str, Any]
    make_search: Callable[[], Search]
    make_stand_in: Callable[[], Search]
    compose: Compose
    overrides: Callable[[Mapping[str, str]], list[str]]
    first: list[str]
    rules: Rules


def open_loop(
    order: Order, store: StudyStore, workers: Workers, is_read_only: bool = False
) -> tuple[Loop, StudyBook]:
    """Take a study up where it was left: known trials are known, the search has its state."""
    search = order.make_search()
    _refuse_other_search(store.parent_tags(), order, search.is_adaptive)
    if order.oracle == "grid":  # a mistake in a list is told before anything is written
        for suggestion in iter(order.make_search().ask, None):
            order.compose(order.overrides(suggestion.values))
    if not is_read_only:
        store.open_parent(
            {
                "sweep.oracle": order.oracle,
                "sweep.definition": json.dumps(order.definition, sort_keys=True),
                "mlflow.note.content": order.question,
            }
        )
    book = StudyBook(
        store,
        order.compose,
        order.overrides,
        skips_invalid=order.oracle != "grid",
        is_read_only=is_read_only,
    )
    loop = Loop(search, book, workers, order.rules, on_end=lambda job: None)
    if search.is_adaptive:
        for index, values in book.values().items():
            search.remember(index, values)
        loop.restore(book.events())
    loop.prepare()
    return loop, book


def simulate(order: Order) -> Iterator[tuple[Suggestion, int]]:
    """A search on made-up errors: its suggestions, and how many trials wait for a promotion then.

    What Hyperband costs does not depend on the errors.
    """
    search = order.make_stand_in()
    while (suggestion := search.ask()) is not None:
        search.tell(suggestion.index, float(suggestion.index * 7919 % 101))
        yield suggestion, len(search.waiting_for_promotion())


def _refuse_other_search(tags: Mapping[str, str], order: Order, is_adaptive: bool) -> None:
    """A search that learns cannot go on from trials that another one chose."""
    if not is_adaptive or "sweep.definition" not in tags:
        return
    before = {"oracle": tags["sweep.oracle"], **json.loads(tags["sweep.definition"])}
    now = {"oracle": order.oracle, **json.loads(json.dumps(order.definition))}
    changed = [
        key
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and key != "max_trials"
    ]
    if changed:
        key = changed[0]
        raise UsageError(
            f'Study "{order.study}" cannot go on: what its {tags["sweep.oracle"]} search suggests '
            f"next follows from how it began, with {key}={before.get(key)}. "
            f"Received: {key}={now.get(key)}. Fix: study.name=<a new name>, or {key} as before"
        )
