"""Pages that are kept with a run: HTML, figures and tables."""

import io
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient

from src.tracking.artifacts import local_folder
from src.tracking.links import run_link
from src.tracking.retry import patient


@patient
def log_page(
    run_id: str,
    name: str,
    html: str,
    files: Mapping[str, bytes],
    folder: str = "",
) -> None:
    """Adds a page to the artifacts of a run; one of the same name is replaced.

    Args:
        run_id: Any run's.
        name: File name of the page, such as `eda.html`.
        html: The page.
        files: Figures and tables that belong to it, by path.
        folder: Folder in the run's artifacts; empty for their root.
    """
    client, root = MlflowClient(), f"{folder}/" if folder else ""
    client.log_text(run_id, html, f"{root}{name}")
    for path, content in files.items():
        client.log_stream(run_id, io.BytesIO(content), f"{root}{path}")


@patient
def local_file(run_id: str, file: str) -> Path | None:
    """Returns an artifact's path on this machine; None if artifacts are not on this machine."""
    folder = local_folder(MlflowClient().get_run(run_id).info.artifact_uri)
    return None if folder is None else folder / file


@patient
def page_address(run_id: str, file: str = "") -> str:
    """Returns the link to a run, or to one of its artifacts, on MLflow's page."""
    return run_link(MlflowClient().get_run(run_id).info.experiment_id, run_id, file)
