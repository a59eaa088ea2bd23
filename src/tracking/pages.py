"""Pages for people, kept with a run: HTML, figures and tables."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from src.tracking.artifacts import local_folder
from src.tracking.retry import patient
from src.tracking.store import mend_stale_runs, open_store, process_tags
from src.tracking.views import mlflow_address

_PAGE = "{base}/#/experiments/{experiment}/runs/{run}{tab}?workflowType=machine_learning"
_MAX_VALUE = 6000  # characters of a parameter; MLflow's own limit


@contextmanager
def page_run(experiment: str, name: str, kind: str) -> Iterator[str]:
    """A run that holds a page and is no trial: it belongs to no study.

    FINISHED when the body ends, else FAILED.

    Args:
        experiment: Name of the experiment; created where it is missing.
        name: The run's.
        kind: Its tag `kind`, such as `eda`.

    Yields:
        The run's id.
    """
    experiment_id = open_store(experiment)
    mend_stale_runs(experiment_id)
    client = MlflowClient()
    tags = {"kind": kind, **process_tags()}
    run = patient(client.create_run)(experiment_id, run_name=name, tags=tags)
    status = "FAILED"
    try:
        yield run.info.run_id
        status = "FINISHED"
    finally:
        patient(client.set_terminated)(run.info.run_id, status)


@patient
def log_page(
    run_id: str,
    name: str,
    html: str,
    pictures: Mapping[str, bytes],
    tables: Mapping[str, str],
    folder: str = "",
) -> None:
    """Put a page beside whatever a run has; one of the same name is replaced.

    Args:
        run_id: Any run's.
        name: File name of the page, such as `eda.html`.
        html: The page.
        pictures: PNG files by name without suffix; they land in `figures/`.
        tables: CSV texts by name without suffix; they land in `tables/`.
        folder: Where in the run's artifacts; empty for their root.
    """
    with tempfile.TemporaryDirectory() as copies:
        root = Path(copies)
        for place in ("figures", "tables"):
            (root / place).mkdir()
        (root / name).write_text(html, encoding="utf-8")
        for picture, content in pictures.items():
            (root / f"figures/{picture}.png").write_bytes(content)
        for table, text in tables.items():
            (root / f"tables/{table}.csv").write_text(text, encoding="utf-8")
        MlflowClient().log_artifacts(run_id, copies, folder or None)


@patient
def log_facts(
    run_id: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> None:
    """What a page rests on, for MLflow's table of runs. Metrics must be finite."""
    now = int(time.time() * 1000)
    MlflowClient().log_batch(
        run_id,
        metrics=[Metric(key, float(value), now, 0) for key, value in metrics.items()],
        params=[Param(key, str(value)[:_MAX_VALUE]) for key, value in params.items()],
        tags=[RunTag(key, str(value)) for key, value in tags.items()],
    )


@patient
def local_file(run_id: str, file: str) -> Path | None:
    """An artifact's path on this machine; None where artifacts lie elsewhere."""
    folder = local_folder(MlflowClient().get_run(run_id).info.artifact_uri)
    return None if folder is None else folder / file


@patient
def page_address(run_id: str, file: str = "") -> str:
    """Where MLflow's page shows a run, or one of its artifacts."""
    info = MlflowClient().get_run(run_id).info
    tab = f"/artifacts/{file}" if file else ""
    return _PAGE.format(base=mlflow_address(), experiment=info.experiment_id, run=run_id, tab=tab)
