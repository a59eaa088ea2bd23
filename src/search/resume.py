"""Resumes a study: recorded trials are known, and its search is at the same point."""

import json
from collections.abc import Mapping
from typing import Any

from src.config import complete
from src.core import names
from src.core.errors import UsageError
from src.search.launch import Launch
from src.search.loop import Loop, Workers
from src.search.study import StudyBookkeeping
from src.tracking.study import StudyStore, terms_tags

_ORACLE = "hydra.sweeper.oracle"


def open_loop(
    launch: Launch, store: StudyStore, workers: Workers, is_read_only: bool = False
) -> Loop:
    """Returns the loop of a study at the point where the last launch ended.

    Raises:
        UsageError: If a listed configuration is refused, or the study began with another search.
    """
    search = launch.make_search()
    if search.is_listed:  # a mistake in a list is reported before anything is written
        for suggestion in iter(launch.make_search().ask, None):
            launch.compose(launch.overrides(suggestion.values))
    stacks_heads = workers.max_stacked > 1 and not search.is_sequential
    bookkeeping = StudyBookkeeping(store, launch, stacks_heads, is_read_only)
    store.refuse_other_terms(launch.terms)
    tags = {
        **terms_tags(launch.terms),
        names.NOTE: launch.question,
        names.QUESTION: launch.question,
        names.COMMAND: launch.command[:5000],
    }
    definition = dict(launch.definition)
    if launch.base is not None:
        definition["data"] = bookkeeping.digest(launch.base)
    if search.is_adaptive:
        _refuse_other_search(store.parent_tags(), launch.study, definition)
        tags[names.DEFINITION] = json.dumps(definition, sort_keys=True)
    if not is_read_only:
        store.open_parent(tags)
    loop = Loop(search, bookkeeping, workers, launch.settings)
    changed = loop.restore(bookkeeping.events()) if search.is_adaptive else None
    if changed is not None:
        raise UsageError(
            f'Study "{launch.study}" cannot continue: its suggestion {changed} differs from the '
            f"recorded one, or its run is missing. Received: study.name={launch.study}. "
            "Fix: study.name=<a new name>"
        )
    loop.prepare()
    running = bookkeeping.running_elsewhere(loop.jobs)
    if running and not is_read_only:
        store.wait_for(running)
        return open_loop(launch, store, workers)
    return loop


def _refuse_other_search(
    tags: Mapping[str, str], study: str, definition: Mapping[str, Any]
) -> None:
    """Refuses to resume an adaptive search with another definition.

    A definition lacks the keys that were introduced after it; they have their neutral values.
    """
    if names.DEFINITION not in tags:
        return
    before = complete(json.loads(tags[names.DEFINITION]))
    now = complete(json.loads(json.dumps(definition)))
    for key in sorted(before.keys() | now.keys(), key=lambda key: (key != _ORACLE, key)):
        old, new = before.get(key), now.get(key)
        is_longer = key == "hydra.sweeper.max_trials" and old and new and old < new
        if old != new and not is_longer:
            raise UsageError(
                f'Study "{study}" cannot continue: the next suggestions of its {before[_ORACLE]} '
                f"search depend on how it began, with {key}={old}. Received: {key}={new}. "
                f"Fix: study.name=<a new name>, or {key} as before"
            )
