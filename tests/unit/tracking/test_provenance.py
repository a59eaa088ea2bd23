"""Provenance of a trial."""

import importlib.metadata
import subprocess
from pathlib import Path

import pytest

from src.tracking import provenance


def test_packages_are_those_that_python_sees() -> None:
    pins = provenance.packages().splitlines()
    seen = {
        f"{package.metadata['Name']}=={package.version}"
        for package in importlib.metadata.distributions()
    }
    assert set(pins) == seen
    assert pins == sorted(pins, key=str.lower)


def test_difference_is_that_of_the_folder_as_it_was_first_seen(
    in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (provenance.git_commit(), provenance.git_diff()) == ("", "git cannot tell\n")
    folder = in_tmp_path / "repository"
    folder.mkdir()
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", "-C", folder, *command], check=True)
    monkeypatch.chdir(folder)
    assert len(provenance.git_commit()) == 40
    assert provenance.git_diff() == "no difference\n"
    Path("file.py").write_text("a = 1\n")
    subprocess.run(["git", "add", "file.py"], check=True)
    assert provenance.git_diff() == "no difference\n"  # this process has not loaded it
