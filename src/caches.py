"""List caches and checkpoints, and free them: `python -m src.caches [--evict <name>|all]`."""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.markup import escape

from src.cli.options import run_command
from src.config.overrides import CONF
from src.core.console import empty_table, show, spell_seconds
from src.core.errors import UsageError
from src.core.imports import large_imports

_Found = list[tuple[Any, str, Callable[[], bool | None]]]
"""A cache or checkpoint, its content, and a function that deletes it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Lists or deletes what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m src.caches",
        description="List decoded pictures and activations that trials share, and checkpoints of "
        "unfinished trials, the last used first. A cache that is deleted is computed again when "
        "a trial needs it; a trial whose checkpoint is deleted starts from its first epoch.",
        epilog="example: python -m src.caches --evict 1f0c3a",
    )
    parser.add_argument("--evict", metavar="NAME", help="delete it; the beginning of its name "
                        "is enough; `all` deletes everything")  # fmt: skip
    usual = OmegaConf.load(CONF / "data/base.yaml").cache_dir
    parser.add_argument("--cache-dir", type=Path, default=usual, metavar="FOLDER",
                        help="the trials' data.cache_dir (default: %(default)s)")  # fmt: skip
    chosen = parser.parse_args(arguments)
    run_command(lambda: _list_or_evict(chosen.cache_dir, chosen.evict))


def _list_or_evict(cache_dir: Path, name: str | None) -> None:
    with large_imports():
        from src.data.cache_inventory import evict, inventory
        from src.tracking.checkpoints import forget, saved_trials

    found: _Found = [
        *((c, f"{c.num_pictures:,} {c.what}", partial(evict, c)) for c in inventory(cache_dir)),
        *((saved, saved.what, partial(forget, saved.folder)) for saved in saved_trials()),
    ]
    if name is None:
        _list(found, cache_dir)
        return
    evicted = []
    for each, _, delete in _chosen(found, name):
        if delete() is False:
            print(f"{each.name} stays: its trial is running.")
        else:
            evicted.append(each.num_bytes)
    print(f"Evicted {len(evicted)}: {sum(evicted) / 1e6:,.0f} MB are free.")


def _chosen(found: _Found, name: str) -> _Found:
    """Returns all, or the one whose name begins so.

    Raises:
        UsageError: If the name is empty, or fits none or several.
    """
    if name == "all":
        return found
    chosen = [entry for entry in found if name and entry[0].name.startswith(name)]
    if len(chosen) != 1:
        known = ", ".join(each.name for each, *_ in chosen or found) or "none"
        raise UsageError(
            f"The name must be that of one cache or checkpoint; it fits {len(chosen) or 'none'}. "
            f"Received: --evict '{name}'. Fix: one of {known}"
        )
    return chosen


def _list(found: _Found, cache_dir: Path) -> None:
    if not found:
        print(f"Nothing is cached in {cache_dir}, and no trial is unfinished.")
        return
    grid = empty_table("name", "content", "MB", "last used", numbers=("MB", "last used"))
    for each, content, _ in found:
        size, age = f"{each.num_bytes / 1e6:,.0f}", max(0.0, time.time() - each.last_used)
        grid.add_row(escape(each.name), escape(content), size, f"{spell_seconds(age)} ago")
    show(grid)
    total = sum(each.num_bytes for each, *_ in found) / 1e6
    print(f"{total:,.0f} MB. `make caches EVICT=<name>` or `EVICT=all` frees it.")


if __name__ == "__main__":
    main()
