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


def run_link(experiment_id: str, run_id: str, file: str = "") -> str:
    """Returns the link to a run, or to one of its artifacts.

    Args:
        experiment_id: MLflow's.
        run_id: MLflow's.
        file: Path of an artifact; empty for the run's overview.
    """
    tab = f"/artifacts/{file}" if file else ""
    return f"{page_root()}/#/experiments/{experiment_id}/runs/{run_id}{tab}?{_MODE}"


def experiment_link(experiment_id: str, root: str) -> str:
    """Returns the link to all runs of an experiment on the page with this address."""
    return f"{root}/#/experiments/{experiment_id}/runs?{_MODE}"


def view_link(experiment_id: str, view_id: str, mode: str, root: str | None = None) -> str:
    """Returns the link to a saved view.

    Args:
        experiment_id: MLflow's.
        view_id: See `src.tracking.views`.
        mode: `TABLE` or `CHART`.
        root: Address of MLflow's page, `page_root()` by default. If it is empty, the link works
            within the page at any address.
    """
    link = experiment_link(experiment_id, page_root() if root is None else root).lstrip("/")
    return f"{link}&viewStateShareKey={view_id}&compareRunsMode={mode}"
