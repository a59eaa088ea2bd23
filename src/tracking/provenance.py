"""Provenance of a trial: code, packages, machine."""

import functools
import importlib.metadata
import os
import platform
import resource
import subprocess
from pathlib import Path

import psutil


@functools.cache
def packages() -> str:
    """Returns all installed packages, one `name==version` a line, when the process first asked."""
    found = importlib.metadata.distributions()
    pins = {f"{package.name}=={package.version}" for package in found}
    return "\n".join(sorted(pins, key=str.lower)) + "\n"


def git_commit() -> str:
    """Returns the checked-out commit; empty without a repository."""
    return (_git(Path.cwd(), "rev-parse", "HEAD") or "").strip()


def git_diff() -> str:
    """Returns the difference of tracked files from that commit, or a sentence if there is none.

    It is the difference when the process first asked, which is closer to the code that it loaded.
    """
    difference = _git(Path.cwd(), "diff", "--no-ext-diff", "--no-color", "HEAD")
    if difference is None:
        return "git cannot tell\n"
    return difference or "no difference\n"


def machine() -> dict[str, str | int | float]:
    """Returns processor, cores, memory and Python of this machine."""
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES", "all"),
    }  # fmt: skip


def peak_memory_gib() -> float:
    """Returns the peak memory of this process, which includes earlier trials."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if platform.system() == "Darwin" else 2**20)  # bytes there, else KiB


@functools.cache
def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=folder, capture_output=True, text=True, timeout=30, check=True, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
