"""A trial is listed and replayed as a person types it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.smoke.conftest import SMALL

pytestmark = pytest.mark.slow


@pytest.fixture
def typed(tmp_path, environment) -> Callable[..., subprocess.CompletedProcess]:
    """Run `python -m src.<command> …` to its end in the test's folder."""

    def run(command: str, *arguments: str, options: tuple[str, ...] = (), cores: int = 1024):
        mine = sorted(os.sched_getaffinity(0))[:cores]
        return subprocess.run(
            [sys.executable, *options, "-m", f"src.{command}", *arguments],
            cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=300,
            preexec_fn=lambda: os.sched_setaffinity(0, mine),
        )  # fmt: skip

    return run


def test_trial_is_listed_and_replayed_to_the_same_number(typed) -> None:
    # On one core of several, as one of two trials that run at a time.
    trained = typed("train", *SMALL, "model.backbone=tiny", "fit.epochs=1", "study=mine", cores=1)
    assert trained.returncode == 0, trained.stderr
    listed = typed("trials", "mine")
    assert "1 trial: 1 complete. Best: trial 3" in listed.stdout, listed.stderr

    replayed = typed("replay", "study=mine", "3")
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.rstrip().endswith("equal, bit for bit.")
    listed = typed("trials")
    assert re.findall(r"^mine(?: replayed)?", listed.stdout, re.MULTILINE) == [
        "mine", "mine replayed",
    ]  # fmt: skip

    shown = typed("replay", "mine", "3", "--cfg", "job", options=("-X", "importtime"))
    assert "epochs: 1" in shown.stdout
    assert not set(re.findall(r"\| +(\w+)", shown.stderr)) & {"tensorflow", "keras"}


@pytest.mark.parametrize("command", ["trials", "replay"])
def test_help_and_a_missing_store_need_nothing_heavy_and_leave_no_file(
    typed, tmp_path, command: str
) -> None:
    helped = typed(command, "--help", options=("-X", "importtime"))
    assert f"python -m src.{command}" in helped.stdout
    heavy = {"tensorflow", "keras", "keras_tuner", "mlflow", "pandas", "matplotlib"}
    assert not set(re.findall(r"\| +(\w+)", helped.stderr)) & heavy

    refused = typed(command, "seed", *(["3"] if command == "replay" else []))
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: There is no tracking store yet.")
    assert "Traceback" not in refused.stderr
    assert not list(tmp_path.iterdir())
