"""List the trials of a study, or all studies: `python -m src.trials [<study>]`."""

import argparse
import math
import sys
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from src.cli.options import add_experiment_option, study_name
from src.core.console import show
from src.core.errors import ExplainedError
from src.core.imports import large_imports


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was asked for on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m src.trials",
        description="List the trials of a study, the best first; without a study, all studies.",
        epilog='example: python -m src.trials "seed"',
    )
    parser.add_argument("study", nargs="?", type=study_name, help="name of a study")
    add_experiment_option(parser)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.study is None:
            _show_studies(chosen.experiment)
        else:
            _show_trials(chosen.experiment, chosen.study)
    except ExplainedError as error:
        sys.exit(f"error: {error}")


def _show_trials(experiment: str, study: str) -> None:
    with large_imports():
        from src.records import tables
        from src.records.terms import Terms
        from src.tracking.lookup import find_study

    trials = find_study(experiment, study).trials()
    show(tables.table(f'Study "{study}"', trials, Terms()))
    print(f"\n{tables.headline(trials, Terms())}")


def _show_studies(experiment: str) -> None:
    with large_imports():
        from src.tracking.lookup import studies

    grid = Table(show_edge=False, pad_edge=False)
    grid.add_column("study", overflow="fold")
    for name in ("trials", "best MAE"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("state", no_wrap=True)
    found = studies(experiment)
    for study in found:
        error = f"{study.best:.2f}" if math.isfinite(study.best) else ""
        grid.add_row(escape(study.name), str(study.num_trials), error, str(study.state))
    if found:
        show(grid)
    else:
        print(f'The experiment "{experiment}" has no study yet; `make sweep` runs one.')


if __name__ == "__main__":
    main()
