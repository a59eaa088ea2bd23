"""Compare the trials of a study: `python -m src.report study=small`."""

from collections.abc import Sequence
from pathlib import Path

from src.cli.options import command_parser, run_command
from src.config.overrides import CONF
from src.config.study_schema import ClaimConfig
from src.core.errors import UsageError
from src.core.imports import large_imports


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads a study, writes its report, and prints where it is."""
    parser = command_parser(
        "report",
        "Compare the trials of a study. The report goes to experiments/<study>/, and to the "
        "study's run in MLflow.",
        "study=small",
    )
    parser.add_argument(
        "--claims", metavar="FILE",
        help="test the claims of conf/study/<FILE>.yaml instead of those recorded with the trials",
    )  # fmt: skip
    chosen = parser.parse_args(arguments)
    run_command(lambda: _report(chosen.experiment, chosen.study, chosen.claims))


def _report(experiment: str | None, study: str, claims_file: str | None) -> None:
    with large_imports():
        from src.analysis.publishing import publish
        from src.analysis.references import import_reference, is_reference, read_reference
        from src.analysis.study_data import read_study
        from src.core import names
        from src.core.console import show
        from src.records.tables import axis_keys, description, headline, table, varied_keys
        from src.tracking.lookup import find_study
        from src.tracking.views import save_views, study_links

    late_claims = None if claims_file is None else _claims_of(claims_file)
    if is_reference(study):
        from src.cli.command_line import compose_config  # Hydra, which other reports do not need

        overrides = ["study=seed", f"study.name={study}", "data=sample"]
        numbers = [trial.number for trial in read_reference(study).trials]
        configs = {n: compose_config([f"+trial={n}", *overrides]) for n in numbers if n}
        import_reference(experiment or configs[1].tracking.experiment, study, configs)
    data = read_study(experiment, study, late_claims)
    terms = data.terms
    links = save_views(
        data.experiment_id, study, varied_keys(data.trials), axis_keys(data.trials), terms
    )
    folder = Path("experiments", study)
    answer, page, address = publish(data, folder)
    if data.parent_id:
        views = study_links(data.experiment_id, study, page="").markdown()
        summary = headline(data.trials, terms)
        text = description(data.question, summary, views, data.trials, terms)
        find_study(experiment, study).set_tags(data.parent_id, {names.NOTE: text})
    show(table(f'Study "{study}"', data.trials, terms))
    answer = answer.replace("**", "").replace("`", "")  # Markdown, for a terminal
    print(f"\n{answer}\n")
    print(f"Report: {folder}/README.md, and report.html beside it.")
    if page:
        print(f"With the worst faces: {page}")
    print("`mlflow ui` shows")
    if address:
        print(f"the report: {address}")
    print(f"all trials: {links.table}\ncharts: {links.charts}")


def _claims_of(claims_file: str) -> list[ClaimConfig]:
    from src.cli.command_line import compose_config

    known = sorted(path.stem for path in (CONF / "study").glob("*.yaml"))
    if claims_file not in known:
        raise UsageError(
            f"There is no such study file. Received: --claims {claims_file}. "
            f"Fix: one of {', '.join(known)}, or a new file in conf/study/"
        )
    return compose_config([f"study={claims_file}", "data=sample"]).study.claims


if __name__ == "__main__":
    main()
