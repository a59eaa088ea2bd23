"""List caches and checkpoints, and free them: `python -m src.caches [--evict <name>|all]`."""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from omegaconf import OmegaConf
from rich.markup import escape
from rich.table import Table

from src.cli.options import run_command
from src.config.overrides import CONF
from src.core.console import show, spell_seconds
from src.core.errors import UsageError
from src.core.imports import large_imports


class _Entry(NamedTuple):
    name: str
    content: str
    num_bytes: int
    last_used: float
    delete: Callable[[], bool | None]


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
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=Path(OmegaConf.load(CONF / "data/base.yaml").cache_dir),
        metavar="FOLDER",
        help="the trials' data.cache_dir (default: %(default)s)",
    )
    chosen = parser.parse_args(arguments)
    run_command(lambda: _list_or_evict(chosen.cache_dir, chosen.evict))


def _list_or_evict(cache_dir: Path, name: str | None) -> None:
    with large_imports():
        from src.data.inventory import evict, inventory
        from src.tracking.checkpoints import forget, saved_trials

    found = [
        _Entry(each.name, f"{each.num_pictures:,} {each.what}", each.num_bytes, each.last_used,
               partial(evict, each))
        for each in inventory(cache_dir)
    ] + [
        _Entry(each.name, each.what, each.num_bytes, each.last_used, partial(forget, each.folder))
        for each in saved_trials()
    ]  # fmt: skip
    if name is None:
        _list(found, cache_dir)
        return
    evicted = []
    for each in _chosen(found, name):
        if each.delete() is False:
            print(f"{each.name} stays: its trial is running.")
        else:
            evicted.append(each.num_bytes)
    print(f"Evicted {len(evicted)}: {sum(evicted) / 1e6:,.0f} MB are free.")


def _chosen(found: Sequence[_Entry], name: str) -> Sequence[_Entry]:
    """Returns all, or the one whose name begins so.

    Raises:
        UsageError: If the name is empty, or fits none or several.
    """
    if name == "all":
        return found
    chosen = [each for each in found if name and each.name.startswith(name)]
    if len(chosen) != 1:
        known = ", ".join(each.name for each in chosen or found) or "none"
        raise UsageError(
            f"The name must be that of one cache or checkpoint; it fits {len(chosen) or 'none'}. "
            f"Received: --evict '{name}'. Fix: one of {known}"
        )
    return chosen


def _list(found: Sequence[_Entry], cache_dir: Path) -> None:
    if not found:
        print(f"Nothing is cached in {cache_dir}, and no trial is unfinished.")
        return
    grid = Table("name", "content", show_edge=False, pad_edge=False)
    for heading in ("MB", "last used"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        ago = spell_seconds(max(0.0, time.time() - each.last_used))
        grid.add_row(escape(each.name), escape(each.content), f"{each.num_bytes / 1e6:,.0f}",
                     f"{ago} ago")  # fmt: skip
    show(grid)
    total = sum(each.num_bytes for each in found) / 1e6
    print(f"{total:,.0f} MB. `make caches EVICT=<name>` or `EVICT=all` frees it.")


if __name__ == "__main__":
    main()
