"""Pages that are kept with a run: HTML, figures and tables."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from src.core import names
from src.tracking.artifacts import local_folder
from src.tracking.links import run_link
from src.tracking.retry import patient
from src.tracking.run import Run
from src.tracking.runs import trial_run


@contextmanager
def page_run(experiment: str, name: str, kind: str) -> Iterator[str]:
    """Opens a run for a page, which is no trial and belongs to no study.

    It is FINISHED when the body ends, and FAILED when it raises.

    Args:
        experiment: Name of the experiment; created if it is missing.
        name: The run's.
        kind: Its tag `kind`, such as `eda`.

    Yields:
        The run's id.
    """
    with trial_run(experiment, name, {names.KIND: kind}, None, system_metrics=False) as run:
        yield run.id


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


def log_facts(
    run_id: str, params: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    """Logs the facts behind a page, for MLflow's table of runs."""
    run = Run(run_id, "", is_new=True)
    with run.batch():
        run.log_params(params)
        run.log_final(metrics)
        run.set_tags(tags)


@patient
def local_file(run_id: str, file: str) -> Path | None:
    """Returns an artifact's path on this machine; None if artifacts are not on this machine."""
    folder = local_folder(MlflowClient().get_run(run_id).info.artifact_uri)
    return None if folder is None else folder / file


@patient
def page_address(run_id: str, file: str = "") -> str:
    """Returns the link to a run, or to one of its artifacts, on MLflow's page."""
    return run_link(MlflowClient().get_run(run_id).info.experiment_id, run_id, file)
