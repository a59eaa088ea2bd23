"""List the trials of a study, or all studies: `python -m src.trials [<study>]`."""

import math
from collections.abc import Sequence

from rich.markup import escape

from src.cli.options import command_parser, run_command
from src.core.console import empty_table, show
from src.core.imports import large_imports


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table that the command line asks for."""
    parser = command_parser(
        "trials",
        "List the trials of a study, the best first; without a study, all studies.",
        '"seed"',
        needs_study=False,
    )
    chosen = parser.parse_args(arguments)
    if chosen.study is None:
        run_command(lambda: _show_studies(chosen.experiment))
    else:
        run_command(lambda: _show_trials(chosen.experiment, chosen.study))


def _show_trials(experiment: str | None, study: str) -> None:
    with large_imports():
        from src.records import tables
        from src.tracking.lookup import find_study

    store = find_study(experiment, study)
    trials, terms = store.trials(), store.terms()
    show(tables.table(f'Study "{study}"', trials, terms))
    print(f"\n{tables.headline(trials, terms)}")


def _show_studies(experiment: str | None) -> None:
    with large_imports():
        from src.tracking.lookup import studies

    columns = ("study", "experiment", "trials", "best", "objective", "state")
    grid = empty_table(*columns, numbers=("trials", "best"))
    found = studies(experiment)
    for study in found:
        best = f"{study.best:.2f} {study.terms.unit}" if math.isfinite(study.best) else ""
        grid.add_row(escape(study.name), study.experiment, str(study.num_trials), best,
                     study.terms.title, str(study.state))  # fmt: skip
    if found:
        show(grid)
    else:
        print("There is no study yet; `make sweep` runs one.")


if __name__ == "__main__":
    main()
