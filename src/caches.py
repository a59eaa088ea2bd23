"""List what is cached, and evict it: `python -m src.caches [--evict <name>|all]`."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf
from rich.table import Table

from src.cli.options import CONF
from src.core.console import show, spell_seconds
from src.data.inventory import Cache, evict, inventory


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was asked for on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m src.caches",
        description="List decoded pictures and activations of frozen layers that trials share, "
        "the last used first. What is evicted is computed again when a trial needs it; a trial "
        "that is running keeps what it has open.",
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
    found = inventory(chosen.cache_dir)
    if chosen.evict is None:
        _list(found, chosen.cache_dir)
        return
    going = [one for one in found if chosen.evict == "all" or one.name.startswith(chosen.evict)]
    if not going or (chosen.evict != "all" and len(going) > 1):
        names = ", ".join(one.name for one in going or found) or "none"
        fits = f"{len(going)} caches" if going else "no cache"
        sys.exit(f"error: The name must be that of one cache; it fits {fits}. Received: --evict "
                 f"{chosen.evict}. Fix: one of {names}")  # fmt: skip
    for one in going:
        evict(one)
    print(f"Evicted {len(going)}: {sum(one.num_bytes for one in going) / 1e6:,.0f} MB are free.")


def _list(found: Sequence[Cache], cache_dir: Path) -> None:
    if not found:
        print(f"Nothing is cached in {cache_dir}.")
        return
    grid = Table(show_edge=False, pad_edge=False)
    grid.add_column("name", no_wrap=True)
    grid.add_column("what", overflow="fold")
    for name in ("pictures", "MB", "last used"):
        grid.add_column(name, justify="right", no_wrap=True)
    for one in found:
        ago = spell_seconds(max(0.0, time.time() - one.last_used))
        grid.add_row(one.name, one.what, f"{one.num_pictures:,}", f"{one.num_bytes / 1e6:,.0f}",
                     f"{ago} ago")  # fmt: skip
    show(grid)
    print(f"{sum(one.num_bytes for one in found) / 1e6:,.0f} MB in {cache_dir}. "
          "`make caches EVICT=<name>` or `EVICT=all` frees it.")  # fmt: skip


if __name__ == "__main__":
    main()
