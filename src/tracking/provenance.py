"""What a trial ran with: code, packages, machine."""

import functools
import importlib.metadata
import os
import platform
import re
import resource
import subprocess
from pathlib import Path

import psutil


def version(package: str) -> str:
    """The installed version of a package."""
    return importlib.metadata.version(package)


@functools.cache
def packages() -> str:
    """Every installed package, one `name==version` a line, as this process first saw them.

    Two lines of each package's metadata are read; its whole text, which `importlib.metadata`
    parses, takes twenty times as long.
    """
    pins = set()
    for package in importlib.metadata.distributions():
        text = package.read_text("METADATA") or package.read_text("PKG-INFO") or ""
        found = (re.search(rf"^{key}: *(.+)$", text, re.MULTILINE) for key in ("Name", "Version"))
        pins.add("==".join(line[1].strip() for line in found if line))
    return "\n".join(sorted(pins, key=str.lower)) + "\n"


def git_commit() -> str:
    """The checked-out commit; empty where git cannot tell."""
    return (_git("rev-parse", "HEAD") or "").strip()


def git_diff() -> str:
    """What differs from that commit in tracked files, in words where nothing does.

    As this process first saw it: that is nearer to the code it has loaded than what stands in the
    files by now.
    """
    difference = _git("diff", "--no-ext-diff", "--no-color", "HEAD")
    if difference is None:
        return "git cannot tell\n"
    return difference or "no difference\n"


def machine() -> dict[str, str | int | float]:
    """Processor, cores, memory and Python of this machine."""
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
    """The most memory that this process has held so far, also for trials before this one."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if platform.system() == "Darwin" else 2**20)  # bytes there, else KiB


def _git(*arguments: str) -> str | None:
    return _ask_git(Path.cwd(), *arguments)


@functools.cache
def _ask_git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=folder, capture_output=True, text=True, timeout=30, check=True, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
