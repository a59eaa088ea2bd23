"""Contents of a run in MLflow, through MLflow's own client."""

from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

from src.training import TrialResult


def fetch(run_id: str) -> mlflow.entities.Run:
    return MlflowClient().get_run(run_id)


def artifacts(run_id: str, folder: str = "") -> set[str]:
    client = MlflowClient()
    found = set()
    for item in client.list_artifacts(run_id, folder):
        found |= artifacts(run_id, item.path) if item.is_dir else {item.path}
    return found


def read_artifact(run_id: str, file: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=file))


def curve(run_id: str, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in MlflowClient().get_metric_history(run_id, key)]


def same_numbers(one: TrialResult, other: TrialResult) -> bool:
    def numbers(result: TrialResult) -> dict:
        measured = ("time/", "memory/")
        return {k: v for k, v in result.metrics.items() if not k.startswith(measured)}

    return numbers(one) == numbers(other)
