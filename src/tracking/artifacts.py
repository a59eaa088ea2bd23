"""Where a run's files lie, and how they get there."""

import io
from pathlib import Path

from mlflow.tracking import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

_UNFINISHED = ".artifact.uploading."  # MLflow's own; its page does not list such files


def local_folder(artifact_uri: str) -> Path | None:
    """A run's folder, if its files lie on this machine; None where they do not."""
    is_local = artifact_uri and is_local_uri(artifact_uri)
    return Path(local_file_uri_to_path(artifact_uri)) if is_local else None


def put(run_id: str, folder: Path | None, file: str, content: bytes) -> None:
    """Write a file of a run, whole or not at all; one of the same name is replaced.

    MLflow's client asks the store for the run's folder at every file, which takes longer than
    writing it.

    Args:
        run_id: The run's.
        folder: See `local_folder`.
        file: Its path in the run's folder, such as `figures/learning_curve.png`.
        content: The file.
    """
    if folder is None:
        MlflowClient().log_stream(run_id, io.BytesIO(content), file)
        return
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(_UNFINISHED + path.name)
    unfinished.write_bytes(content)
    unfinished.replace(path)
