"""Compare the trials of a study: `python -m src.report study=small`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.cli.options import add_experiment_option, study_name
from src.core.errors import ExplainedError, UsageError
from src.core.imports import large_imports

if TYPE_CHECKING:
    from src.config.schema import ClaimConfig

_EXPERIMENTS = Path("experiments")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read a study, write its report, and say where it is."""
    parser = argparse.ArgumentParser(
        prog="python -m src.report",
        description="Compare the trials of a study. The report goes to experiments/<study>/, and "
        "to the study's run in MLflow.",
        epilog="example: python -m src.report study=small",
    )
    parser.add_argument("study", type=study_name, help="name of a study, or study=<name>")
    parser.add_argument(
        "--claims", metavar="FILE",
        help="judge the claims of conf/study/<FILE>.yaml instead of those recorded with the trials",
    )  # fmt: skip
    add_experiment_option(parser)
    chosen = parser.parse_args(arguments)
    try:
        _report(chosen.experiment, chosen.study, chosen.claims)
    except ExplainedError as error:
        sys.exit(f"error: {error}")


def _report(experiment: str, study: str, claims_file: str | None) -> None:
    late_claims = None if claims_file is None else _claims_of(claims_file)
    with large_imports():
        from src.analysis import recorded
        from src.analysis.publishing import publish
        from src.analysis.study_data import read_study
        from src.core.console import show
        from src.records.tables import axis_keys, description, headline, table, varied_keys
        from src.records.terms import Terms
        from src.tracking.lookup import find_study
        from src.tracking.views import save_views, study_links

    if study == recorded.NAME:
        from src.cli.command_line import compose_config  # Hydra, which other reports can do without

        overrides = ["study=seed", f"study.name={study}", "data=sample"]
        configs = {number: compose_config([f"+trial={number}", *overrides]) for number in (1, 2, 3)}
        recorded.import_seed_study(experiment, configs)
    data = read_study(experiment, study, late_claims)
    links = save_views(
        data.experiment_id, study, varied_keys(data.trials), axis_keys(data.trials), Terms()
    )
    published = publish(data, _EXPERIMENTS)
    if data.parent_id:
        from_page = study_links(data.experiment_id, study, page="")
        text = description(
            data.question,
            headline(data.trials, Terms()),
            from_page.markdown(),
            data.trials,
            Terms(),
        )
        find_study(experiment, study).set_tags(data.parent_id, {"mlflow.note.content": text})
    show(table(f'Study "{study}"', data.trials, Terms()))
    print(f"\n{_plain(published.summary)}\n")
    print(f"Report: {published.folder}/README.md, and report.html beside it.")
    if published.page:
        print(f"With the worst faces: {published.page}")
    print("`mlflow ui` shows")
    if published.address:
        print(f"the report: {published.address}")
    print(f"all trials: {links.table}\ncharts: {links.charts}")


def _claims_of(file: str) -> "list[ClaimConfig]":
    from src.cli.command_line import compose_config
    from src.cli.options import CONF

    known = sorted(path.stem for path in (CONF / "study").glob("*.yaml"))
    if file not in known:
        raise UsageError(
            f"There is no such study file. Received: --claims {file}. "
            f"Fix: one of {', '.join(known)}, or a new file in conf/study/"
        )
    return compose_config([f"study={file}", "data=sample"]).study.claims


def _plain(markdown: str) -> str:
    """For a terminal."""
    return markdown.replace("**", "").replace("`", "")


if __name__ == "__main__":
    main()
