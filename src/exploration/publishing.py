"""Publication of the page of a data set in MLflow."""

import math
from pathlib import Path

from src.config import Config, flatten
from src.core import names
from src.exploration.labels import describe
from src.exploration.page import document
from src.exploration.survey import Survey, survey
from src.pages.html import as_html
from src.tracking import Start, trial_runs
from src.tracking.pages import log_page


def explore(config: Config) -> tuple[str, Path | None, str]:
    """Surveys a data set, and logs the page, its figures and its tables as a run.

    Returns:
        The answer in Markdown; the HTML file, None if artifacts are on another machine; the
        address of the page in MLflow.

    Raises:
        MissingFileError: If the table or the folder is missing.
        UsageError: If no row has a usable label.
        EnvironmentFaultError: If the cache cannot be written.
    """
    found = survey(config.data, config.target)
    page = document(found)
    html, files = as_html(page), page.files
    shown = {
        key: value for key, value in flatten(config).items() if key.startswith(("data.", "target."))
    }
    start = Start(f"eda {config.data.layout}", {names.KIND: "eda"})
    with trial_runs(config.tracking.experiment, [start], system_metrics=False) as (run,):
        run.log_params(shown)
        run.log_final(_metrics(found))
        run.set_tags({names.DATA_DIGEST: found.digest, names.NOTE: page.summary})
        return page.summary, *log_page(run.id, "eda.html", html, files)


def _metrics(found: Survey) -> dict[str, float]:
    labels, column = describe(found.labels), found.target.column
    metrics = {
        "data/rows": found.num_rows,
        "data/bad_fraction": found.bad_fraction,
        f"data/mean_{column}": labels["mean"],
        f"data/sd_{column}": labels["sd"],
        f"data/median_{column}": labels["median"],
    }
    if found.has_pictures:
        faces = found.faces
        metrics |= {
            "data/faces": len(faces),
            "data/gray_share": faces["is_gray"].mean(),
            "data/black_corner_share": faces["has_black_corner"].mean(),
            "data/no_face_share": 1 - faces["shows_face"].mean(),
            "data/near_duplicate_pairs": len(found.near_duplicates),
        }
    return {key: float(value) for key, value in metrics.items() if math.isfinite(value)}
