"""Publication of a report: in a folder of `experiments/`, and with the study's run."""

from collections.abc import Sequence
from pathlib import Path

from src.analysis.document import study_document
from src.analysis.faces import most_accurate, worst
from src.analysis.study_data import StudyData
from src.core.errors import UsageError
from src.data.decoding import thumbnail
from src.data.sample import data_set_folder
from src.pages.html import as_html
from src.pages.markdown import as_markdown
from src.records.tables import as_csv
from src.tracking.pages import log_page

_BEGIN = "<!-- Written by `make report`; write above or below, not in between. -->"
_END = "<!-- End of what `make report` writes. -->"


def publish(study: StudyData, folder: Path) -> tuple[str, Path | None, str]:
    """Writes the report: Markdown, figures, tables, and the page without faces.

    Args:
        study: With trials in any state, or none.
        folder: Folder of the report. Text around the marks in its README.md is kept.

    Returns:
        The answer in Markdown; the page with the worst faces, in the store's folder, which is None
        if the study has no parent run, or its artifacts are on another machine; the address of
        that page in MLflow, which is empty without a parent run.

    Raises:
        UsageError: If there is a README.md without marks.
    """
    before, after = _around_report(folder / "README.md")
    faces = _worst_faces(study)
    document = study_document(study, faces)
    trials = as_csv(study.trials, study.terms.objective)
    files = document.files | {"tables/trials.csv": trials.encode()}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    public = document.without_faces()
    report = f"{before}{_BEGIN}\n{as_markdown(public)}{_END}{after}"
    (folder / "README.md").write_text(report, encoding="utf-8")
    html = as_html(public)
    (folder / "report.html").write_text(html, encoding="utf-8")
    if not study.parent_id:
        return document.summary, None, ""
    local = as_html(document) if faces else html
    return document.summary, *log_page(study.parent_id, "report/report.html", local, files)


def _around_report(readme: Path) -> tuple[str, str]:
    """Returns the text before and after the report; both empty if there is no file yet.

    Raises:
        UsageError: If the file has no marks for the report.
    """
    if readme.parent.exists() and not readme.parent.is_dir():
        raise UsageError(
            f"The report's folder is a file. Received: {readme.parent}. "
            "Fix: run the trials under another study.name"
        )
    if not readme.is_file():
        return "", "\n"
    before, begins, rest = readme.read_text(encoding="utf-8").partition(_BEGIN)
    _, ends, after = rest.partition(_END)
    if not (begins and ends):
        raise UsageError(
            f"{readme} has no place for a report, and is not overwritten. Received: a file "
            "without the two marks. Fix: move it, or put these two lines where the report "
            f"belongs:\n{_BEGIN}\n{_END}"
        )
    return before, after


def _worst_faces(study: StudyData) -> Sequence[bytes]:
    """Returns pictures of the best trial's worst faces; none if the data set is not available."""
    found = most_accurate(study)
    if found is None:
        return []
    trial, faces = found
    params = trial.params
    if params.get("data.layout") == "sample":
        drawn = Path(params["data.cache_dir"]) / "sample"
        root = data_set_folder(int(params["data.num_images"]), drawn)
    else:
        root = Path(params.get("data.root", ""))
    files = [root / name for name in worst(faces)["file_name"]]
    if "data.max_pixels" not in params or not all(file.is_file() for file in files):
        return []
    return [thumbnail(file, int(params["data.max_pixels"])) for file in files]
