"""Pages that are kept with a run: HTML, figures and tables."""

import io
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient

from src.tracking.links import run_link
from src.tracking.retry import patient
from src.tracking.store import local_folder


@patient
def log_page(
    run_id: str,
    name: str,
    html: str,
    pictures: Mapping[str, bytes],
    tables: Mapping[str, str],
    folder: str = "",
) -> None:
    """Adds a page to the artifacts of a run; one of the same name is replaced.

    Args:
        run_id: Any run's.
        name: File name of the page, such as `eda.html`.
        html: The page.
        pictures: PNG files by name without suffix; they go to `figures/`.
        tables: CSV texts by name without suffix; they go to `tables/`.
        folder: Folder in the run's artifacts; empty for their root.
    """
    client, root = MlflowClient(), f"{folder}/" if folder else ""
    client.log_text(run_id, html, f"{root}{name}")
    for picture, content in pictures.items():
        client.log_stream(run_id, io.BytesIO(content), f"{root}figures/{picture}.png")
    for table, text in tables.items():
        client.log_text(run_id, text, f"{root}tables/{table}.csv")


@patient
def local_file(run_id: str, file: str) -> Path | None:
    """Returns an artifact's path on this machine; None if artifacts are not on this machine."""
    folder = local_folder(MlflowClient().get_run(run_id).info.artifact_uri)
    return None if folder is None else folder / file


@patient
def page_address(run_id: str, file: str = "") -> str:
    """Returns the link to a run, or to one of its artifacts, on MLflow's page."""
    return run_link(MlflowClient().get_run(run_id).info.experiment_id, run_id, file)
