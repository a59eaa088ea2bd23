"""Where a report goes: a folder of `experiments/` for others, the store for whoever runs trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.analysis.faces import face_errors
from src.analysis.study_data import StudyData
from src.analysis.study_page import study_document
from src.config import Objective
from src.core.errors import UsageError
from src.data.sample import data_set_folder
from src.data.thumbnail import thumbnail
from src.pages import as_html, as_markdown
from src.pages.html import picture_png
from src.records.tables import as_csv
from src.tracking.pages import local_file, log_page, page_address

_PAGE = "report.html"
_FOLDER = "report"
_BEGIN = "<!-- Written by `make report`; write above or below, not in between. -->"
_END = "<!-- End of what `make report` writes. -->"


@dataclass(frozen=True)
class Published:
    """Where to look.

    Attributes:
        folder: What is for others: Markdown, figures, tables, and the page without faces.
        page: The page with the worst faces, in the store's folder; None where the study has no
            parent run, or its files lie on another machine.
        address: Where a bare `mlflow ui` shows that page; empty without a parent run.
        summary: The answer in Markdown.
    """

    folder: Path
    page: Path | None
    address: str
    summary: str


def publish(study: StudyData, experiments: Path) -> Published:
    """Write the report.

    Args:
        study: Whatever became of it.
        experiments: Folder that holds a folder for each study. What people have written around
            the marks in its README.md stays.

    Raises:
        ValueError: If there is a README.md without marks.
    """
    folder = experiments / study.name
    before, after = _around_report(folder / "README.md")
    faces = _worst_faces(study)
    document = study_document(study, faces)
    pictures = {picture.name: picture_png(picture) for picture in document.pictures}
    tables = {table.name: table.csv for table in document.tables}
    tables["trials"] = as_csv(study.trials, Objective())
    for place in ("figures", "tables"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for name, content in pictures.items():
        (folder / f"figures/{name}.png").write_bytes(content)
    for name, text in tables.items():
        (folder / f"tables/{name}.csv").write_text(text, encoding="utf-8")
    public = document.without_faces()
    report = f"{before}{_BEGIN}\n{as_markdown(public)}{_END}{after}"
    (folder / "README.md").write_text(report, encoding="utf-8")
    html = as_html(public, pictures)
    (folder / _PAGE).write_text(html, encoding="utf-8")
    if not study.parent_id:
        return Published(folder, None, "", document.summary)
    local = as_html(document, pictures) if faces else html
    log_page(study.parent_id, _PAGE, local, pictures, tables, _FOLDER)
    file = f"{_FOLDER}/{_PAGE}"
    return Published(
        folder,
        local_file(study.parent_id, file),
        page_address(study.parent_id, file),
        document.summary,
    )


def _around_report(readme: Path) -> tuple[str, str]:
    """What stands before and after the report; both empty where there is no file yet.

    Raises:
        ValueError: If people have written the file, and left no place for a report.
    """
    if readme.parent.exists() and not readme.parent.is_dir():
        raise UsageError(
            f"A file stands where the report's folder would. Received: {readme.parent}. "
            "Fix: run the trials under another study.name"
        )
    if not readme.is_file():
        return "", "\n"
    before, begins, rest = readme.read_text(encoding="utf-8").partition(_BEGIN)
    _, ends, after = rest.partition(_END)
    if not (begins and ends):
        raise UsageError(
            f"{readme} has no place for a report, and is not written over. Received: a file "
            "without the two marks. Fix: move it, or put these two lines where the report is to "
            f"stand:\n{_BEGIN}\n{_END}"
        )
    return before, after


def _worst_faces(study: StudyData) -> Sequence[bytes]:
    """Pictures of the best trial's worst faces; none where the data set is not at hand."""
    errors = face_errors(study)
    if errors is None:
        return []
    params = errors.trial.params
    if params.get("data.layout") == "sample":
        drawn = Path(params["data.cache_dir"]) / "sample"
        root = data_set_folder(int(params["data.num_images"]), drawn)
    else:
        root = Path(params.get("data.root", ""))
    files = [root / name for name in errors.worst["file_name"]]
    if "data.max_pixels" not in params or not all(file.is_file() for file in files):
        return []
    return [thumbnail(file, int(params["data.max_pixels"])) for file in files]
