"""Links to MLflow's page."""

import os

import mlflow

from src.tracking.retry import is_server

_MODE = "workflowType=machine_learning"  # a new browser shows language models otherwise


def page_root() -> str:
    """Returns the address of MLflow's page: the tracking server, or `mlflow ui` on this machine."""
    uri = mlflow.get_tracking_uri()
    if is_server(uri):
        return uri.rstrip("/")
    return f"http://127.0.0.1:{os.environ.get('MLFLOW_PORT', '5000')}"


def run_link(experiment_id: str, run_id: str, file: str = "", root: str | None = None) -> str:
    """Returns the link to a run, or to one of its artifacts.

    Args:
        experiment_id: MLflow's.
        run_id: MLflow's.
        file: Path of an artifact; empty for the run's overview.
        root: Address of MLflow's page, `page_root()` by default. If it is empty, the link works
            within the page, whatever its address is.
    """
    tab = f"/artifacts/{file}" if file else ""
    return _link(f"experiments/{experiment_id}/runs/{run_id}{tab}?{_MODE}", root)


def experiment_link(experiment_id: str, root: str | None = None) -> str:
    """Returns the link to all runs of an experiment."""
    return _link(f"experiments/{experiment_id}/runs?{_MODE}", root)


def view_link(experiment_id: str, view_id: str, mode: str, root: str | None = None) -> str:
    """Returns the link to a saved view, as a `TABLE` or a `CHART`."""
    view = f"viewStateShareKey={view_id}&{_MODE}&compareRunsMode={mode}"
    return _link(f"experiments/{experiment_id}/runs?{view}", root)


def model_link(model: str, version: str) -> str:
    """Returns the link to a version of a registered model."""
    return _link(f"models/{model}/versions/{version}", None)


def _link(path: str, root: str | None) -> str:
    return f"{page_root() if root is None else root}/#/{path}".lstrip("/")
