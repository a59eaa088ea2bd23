import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from src.config.schema import Decoder
from src.core.errors import EnvironmentFaultError
from src.data import cache
from src.data.cache import DecodedPictures, open_or_build
from tests.unit.data.conftest import encode


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    paths = {}
    for place in range(30):
        content = encode(np.full((20, 20, 3), rng.integers(0, 256, 3), np.uint8))
        path = tmp_path / f"{place}.png"
        path.write_bytes(content)
        paths[hashlib.sha256(content).hexdigest()] = path
    return paths


def build(files: dict[str, Path], folder: Path, size: int = 32) -> DecodedPictures:
    return open_or_build(files, Decoder.pillow, size, 10_000, folder)


def test_each_picture_is_found_under_its_digest(files, tmp_path) -> None:
    decoded = build(files, tmp_path / "cache")
    assert decoded.images.shape == (30, 32, 32, 3)
    assert not decoded.images.flags.writeable
    for digest, path in files.items():
        direct = cache.decode(path.read_bytes(), Decoder.pillow, 32, 10_000)
        assert np.array_equal(decoded.images[decoded.index[digest]], direct)


def test_second_opening_decodes_nothing(files, tmp_path, monkeypatch) -> None:
    first = build(files, tmp_path / "cache")
    monkeypatch.setattr(cache, "decode", lambda *_: pytest.fail("decoded again"))
    second = build(dict(reversed(files.items())), tmp_path / "cache")
    assert second.index == first.index
    assert np.array_equal(second.images, first.images)


def test_content_size_decoder_and_limit_make_caches_of_their_own(files, tmp_path) -> None:
    folder = tmp_path / "cache"
    build(files, folder)
    build(files, folder, size=40)
    some = dict(list(files.items())[:5])
    assert build(some, folder).images.shape == (5, 32, 32, 3)
    open_or_build(files, Decoder.opencv, 32, 10_000, folder)
    assert not open_or_build(files, Decoder.pillow, 32, 399, folder).index
    assert len(list(folder.glob("*.npy"))) == 5


def test_picture_that_changed_after_the_audit_is_refused(files, tmp_path) -> None:
    path = next(iter(files.values()))
    for change in (lambda: path.write_bytes(b"other"), path.unlink):
        change()
        with pytest.raises(EnvironmentFaultError, match="changed while the data set was read"):
            build(files, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npy"))


def test_broken_picture_is_a_problem_and_not_a_crash(files, tmp_path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    digest = hashlib.sha256(b"nothing").hexdigest()
    decoded = build(files | {digest: broken}, tmp_path / "cache")
    assert decoded.problems[digest][0] == "not_an_image"
    assert digest not in decoded.index
    assert len(decoded.index) == 30
    again = build(files | {digest: broken}, tmp_path / "cache")
    assert again.problems == decoded.problems


def _build_and_count(files, folder, queue) -> None:
    counted = cache.decode
    calls = []
    cache.decode = lambda *arguments: calls.append(1) or counted(*arguments)
    build(files, folder)
    queue.put(len(calls))


def test_processes_that_start_at_once_share_one_build(files, tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [
        context.Process(target=_build_and_count, args=(files, tmp_path / "cache", queue))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    counts = sorted(queue.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert counts == [0, 0, 30]


def test_killed_build_leaves_no_cache_and_its_rest_is_cleared(files, tmp_path) -> None:
    folder = tmp_path / "cache"
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from src.config.schema import Decoder\n"
        "from src.data import cache\n"
        "real = cache.decode\n"
        "cache.decode = lambda *a: time.sleep(0.2) or real(*a)\n"
        "import hashlib\n"
        "files = {hashlib.sha256(path.read_bytes()).hexdigest(): path\n"
        "         for path in map(Path, sys.argv[2:])}\n"
        "cache.open_or_build(files, Decoder.pillow, 32, 10_000, Path(sys.argv[1]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder), *map(str, files.values())],
        cwd=Path(__file__).parents[3],
    )
    deadline = time.monotonic() + 30
    while not list(folder.glob("*.unfinished")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(folder.glob("*.unfinished"))
    assert not list(folder.glob("*.npy"))
    build(files, folder)
    assert not list(folder.glob("*.unfinished"))
    assert len(list(folder.glob("*.npy"))) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_explained_and_leaves_nothing(files, tmp_path, monkeypatch) -> None:
    real_open = Path.open

    def open_on_full_disk(path: Path, mode: str = "r", **options: object):
        if path.name.endswith(".unfinished"):
            return real_open(Path("/dev/full"), mode, **options)
        return real_open(path, mode, **options)

    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(EnvironmentFaultError, match=r"No space left.*Fix: free some space"):
        build(files, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npy*"))
