"""The README's commands, typed in a folder of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SMALL = ["+trial=3", "+scale=small", "data.num_images=64", "data.batch_size=16", "fit.epochs=4",
         "tracking.keep_model=none"]  # fmt: skip
"""A trial with the real ResNet50 whose epochs take a few seconds."""


@pytest.fixture
def environment() -> dict[str, str]:
    """The project can be imported, and nothing points at another store."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    return kept | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Callable[..., subprocess.Popen]:
    """Start `python -m src.train …` in a folder below the test's own."""

    def started(*arguments: str, folder: str = ".", options: tuple[str, ...] = ()):
        (tmp_path / folder).mkdir(exist_ok=True)
        return subprocess.Popen(
            [sys.executable, *options, "-m", "src.train", *arguments],
            cwd=tmp_path / folder, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return started
