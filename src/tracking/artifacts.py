"""Local folders of runs' artifacts."""

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def local_folder(artifact_uri: str) -> Path | None:
    """Returns a run's folder; None if its files are not on this machine."""
    parts = urlsplit(artifact_uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(artifact_uri) if artifact_uri and not parts.scheme else None
