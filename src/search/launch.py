"""What a launch of a study is asked to do, and the loop that will do it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from src.config import Config
from src.core.errors import UsageError
from src.search.loop import ChangedSearchError, Loop, Rules, Workers
from src.search.oracles import Search, Suggestion
from src.search.study import Compose, StudyBook
from src.tracking.study import StudyStore

_ORACLE = "hydra.sweeper.oracle"


@dataclass(frozen=True)
class Order:
    """What a launch is asked to do.

    Attributes:
        experiment: MLflow's experiment.
        study: Name of the study.
        question: What it is to answer.
        command: What a person typed.
        oracle: `grid`, `random`, `bayesian` or `hyperband`.
        definition: Everything that shapes the sequence of suggestions: settings, space, and the
            values of all keys that are not swept.
        base: Configuration of some trial; None where that is refused.
        make_search: A fresh search.
        make_stand_in: One that costs as much, but may suggest other values: for counting.
        compose: From overrides to a checked configuration.
        overrides: All overrides of a trial, from its swept values.
        max_epochs: That a trial may spend, where epochs are not swept.
        rules: Replicates and failures.
    """

    experiment: str
    study: str
    question: str
    command: str
    oracle: str
    definition: Mapping[str, Any]
    base: Config | None
    make_search: Callable[[], Search]
    make_stand_in: Callable[[], Search]
    compose: Compose
    overrides: Callable[[Mapping[str, str]], list[str]]
    max_epochs: int
    rules: Rules


def open_loop(
    order: Order, store: StudyStore, workers: Workers, is_read_only: bool = False
) -> tuple[Loop, StudyBook]:
    """Take a study up where it was left: known trials are known, the search has its state."""
    search = order.make_search()
    if order.oracle == "grid":  # a mistake in a list is told before anything is written
        for suggestion in iter(order.make_search().ask, None):
            order.compose(order.overrides(suggestion.values))
    book = StudyBook(
        store,
        order.compose,
        order.overrides,
        skips_invalid=order.oracle != "grid",
        is_adaptive=search.is_adaptive,
        is_read_only=is_read_only,
        # What a Gaussian process suggests next follows from what it was told of the trials before.
        is_side_by_side=workers.side_by_side > 1 and order.oracle != "bayesian",
    )
    tags = {
        "mlflow.note.content": order.question,
        "question": order.question,
        "command": order.command[:5000],
    }
    if order.base is not None:
        definition = {**order.definition, "data": book.digest(order.base)}
    else:
        definition = dict(order.definition)
    if search.is_adaptive:
        _refuse_other_search(store.parent_tags(), order.study, definition)
        tags["sweep.definition"] = json.dumps(definition, sort_keys=True)
    if not is_read_only:
        store.open_parent(tags)
    loop = Loop(search, book, workers, order.rules, on_end=lambda job: None)
    if search.is_adaptive:
        for index, values in book.values().items():
            search.remember(index, values)
        try:
            loop.restore(book.events())
        except ChangedSearchError as error:
            raise UsageError(
                f'Study "{order.study}" cannot go on: its suggestion {error} is not the recorded '
                "one any more, or its run is gone. Received: study.name="
                f"{order.study}. Fix: study.name=<a new name>"
            ) from error
    loop.prepare()
    running = book.running_elsewhere()
    if running and not is_read_only:
        store.wait_for(running)
        return open_loop(order, store, workers)
    return loop, book


def simulate(order: Order) -> Iterator[tuple[Suggestion, int]]:
    """A search on made-up errors: its suggestions, and how many trials wait for a promotion then.

    What Hyperband costs does not depend on the errors.
    """
    search = order.make_stand_in()
    while (suggestion := search.ask()) is not None:
        search.tell(suggestion.index, float(suggestion.index * 7919 % 101))
        yield suggestion, len(search.waiting_for_promotion())


def _refuse_other_search(
    tags: Mapping[str, str], study: str, definition: Mapping[str, Any]
) -> None:
    """A search that learns cannot go on from what another one was told."""
    if "sweep.definition" not in tags:
        return
    before, now = json.loads(tags["sweep.definition"]), json.loads(json.dumps(definition))
    for key in sorted(before.keys() | now.keys(), key=lambda key: (key != _ORACLE, key)):
        old, new = before.get(key), now.get(key)
        is_longer = key == "hydra.sweeper.max_trials" and old and new and old < new
        if old == new or is_longer:
            continue
        raise UsageError(
            f'Study "{study}" cannot go on: what its {before[_ORACLE]} search suggests next '
            f"follows from how it began, with {key}={old}. Received: {key}={new}. "
            f"Fix: study.name=<a new name>, or {key} as before"
        )
