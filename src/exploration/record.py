"""The way from a configuration to a page in MLflow."""

import math
from dataclasses import dataclass
from pathlib import Path

from src.config import Config, flatten
from src.exploration.ages import describe
from src.exploration.page import document
from src.exploration.survey import Survey, survey
from src.pages import Document, as_html
from src.pages.html import picture_png
from src.tracking import trial_run
from src.tracking.pages import local_file, log_page, page_address

_FILE = "eda.html"


@dataclass(frozen=True)
class Exploration:
    """Where the page of a data set is.

    Attributes:
        page: The document.
        run_id: MLflow's.
        path: The HTML file; None where artifacts lie on another machine.
        address: Where a bare `mlflow ui` shows it.
    """

    page: Document
    run_id: str
    path: Path | None
    address: str


def explore(config: Config) -> Exploration:
    """Look at a data set, and keep the page, its figures and its tables as a run.

    Raises:
        FileNotFoundError: If the table or the folder is missing.
        ValueError: If no row has an age.
        RuntimeError: If the cache cannot be written.
    """
    found = survey(config.data)
    page = document(found, config.data)
    html = as_html(page)
    pictures = {picture.name: picture_png(picture) for picture in page.pictures}
    tables = {table.name: table.csv for table in page.tables}
    name, tags = f"eda {config.data.layout}", {"kind": "eda"}
    with trial_run(config.tracking.experiment, name, tags, None, system_metrics=False) as run:
        values = flatten(config).items()
        run.log_params({key: value for key, value in values if key.startswith("data.")})
        run.log_final(_metrics(found))
        run.set_tags({"data_digest": found.digest, "mlflow.note.content": page.summary})
        log_page(run.id, _FILE, html, pictures, tables)
    return Exploration(page, run.id, local_file(run.id, _FILE), page_address(run.id, _FILE))


def _metrics(found: Survey) -> dict[str, float]:
    ages = describe(found.ages)
    metrics = {
        "data/rows": found.num_rows,
        "data/bad_fraction": found.bad_fraction,
        "data/mean_age": ages["mean"],
        "data/sd_age": ages["sd"],
        "data/median_age": ages["median"],
    }
    if found.has_pictures:
        faces = found.faces
        metrics |= {
            "data/faces": len(faces),
            "data/gray_share": faces["is_gray"].mean(),
            "data/black_corner_share": faces["has_black_corner"].mean(),
            "data/no_face_share": 1 - faces["shows_face"].mean(),
            "data/look_alike_pairs": len(found.look_alikes),
        }
    return {key: float(value) for key, value in metrics.items() if math.isfinite(value)}
