"""Pages that are kept with a run: HTML, figures and tables."""

import io
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mlflow import MlflowClient

from src.tracking.links import run_link
from src.tracking.retry import patient
from src.tracking.store import local_folder


@patient
def log_page(
    run_id: str, file: str, html: str, files: Mapping[str, bytes]
) -> tuple[Path | None, str]:
    """Adds a page to the artifacts of a run; one of the same name is replaced.

    Args:
        run_id: Any run's.
        file: Path of the page in the run's artifacts, such as `eda.html`.
        html: The page.
        files: Figures and tables that belong to it, by path relative to the page's folder.

    Returns:
        The page's path on this machine, None if artifacts are not on this machine; its address in
        MLflow.
    """
    client, folder = MlflowClient(), PurePosixPath(file).parent
    client.log_text(run_id, html, file)
    for path, content in files.items():
        client.log_stream(run_id, io.BytesIO(content), str(folder / path))
    info = client.get_run(run_id).info
    root = local_folder(info.artifact_uri)
    return None if root is None else root / file, run_link(info.experiment_id, run_id, file)


@patient
def run_address(run_id: str) -> str:
    """Returns the link to a run on MLflow's page."""
    return run_link(MlflowClient().get_run(run_id).info.experiment_id, run_id)
