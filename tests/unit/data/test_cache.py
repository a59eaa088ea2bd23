import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from src.config.identity import declarations
from src.config.keys import Affects
from src.config.schema import Decoder
from src.core.errors import EnvironmentFaultError
from src.data import cache
from src.data.cache import open_or_build
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


class Build(Protocol):
    def __call__(
        self, files: dict[str, Path], size: int = 32, decoder: Decoder = Decoder.pillow,
        max_pixels: int = 10_000,
    ) -> tuple[np.ndarray, dict[str, int], dict[str, tuple[str, str]]]: ...  # fmt: skip


@pytest.fixture
def build(data_of, tmp_path: Path) -> Build:
    """Opens the cache of pictures in the folder `pictures`."""
    return lambda files, size=32, decoder=Decoder.pillow, max_pixels=10_000: open_or_build(
        files, data_of(decoder, size, max_pixels, tmp_path)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


def test_each_picture_is_found_under_its_digest(files, build, data_of) -> None:
    images, index, _ = build(files)
    assert images.shape == (30, 32, 32, 3)
    assert not images.flags.writeable
    for digest, path in files.items():
        direct = cache.decode(path.read_bytes(), data_of(max_pixels=10_000))
        assert np.array_equal(images[index[digest]], direct)


def test_second_opening_decodes_nothing(files, build, monkeypatch) -> None:
    images, index, _ = build(files)
    monkeypatch.setattr(cache, "decode", lambda *_: pytest.fail("decoded again"))
    same_images, same_index, _ = build(dict(reversed(files.items())))
    assert same_index == index
    assert np.array_equal(same_images, images)


def test_content_size_decoder_and_limit_make_caches_of_their_own(files, build, folder) -> None:
    build(files)
    build(files, size=40)
    some = dict(list(files.items())[:5])
    images, _, _ = build(some)
    assert images.shape == (5, 32, 32, 3)
    build(files, decoder=Decoder.opencv)
    _, index, _ = build(files, max_pixels=399)
    assert not index
    assert len(list(folder.glob("*.npy"))) == 5


@pytest.mark.parametrize(
    ("name", "value"), [("_RECIPE", 2), ("library_versions", lambda decoder: {"pillow": "99"})]
)
def test_another_recipe_or_library_is_another_cache(
    files, build, folder, monkeypatch, name, value
) -> None:
    build(files)
    monkeypatch.setattr(cache, name, value)
    build(files)
    assert len(list(folder.glob("*.npy"))) == 2


def test_every_key_that_changes_pixels_is_a_key_of_the_data_group() -> None:
    for key, its in declarations().items():
        assert Affects.PIXELS not in its.affects or key.startswith("data."), key


def test_picture_that_changed_after_the_audit_is_refused(files, build, folder) -> None:
    path = next(iter(files.values()))
    for change in (lambda: path.write_bytes(b"other"), path.unlink):
        change()
        with pytest.raises(EnvironmentFaultError, match="changed while the data set was read"):
            build(files)
    assert not list(folder.glob("*.npy"))


def test_broken_picture_is_a_problem_and_not_a_crash(files, build, tmp_path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    digest = hashlib.sha256(b"nothing").hexdigest()
    _, index, problems = build(files | {digest: broken})
    assert problems[digest][0] == "not_an_image"
    assert digest not in index
    assert len(index) == 30
    _, _, again = build(files | {digest: broken})
    assert again == problems


def _build_and_count(files, data, queue) -> None:
    counted = cache.decode
    calls = []
    cache.decode = lambda *arguments: calls.append(1) or counted(*arguments)
    open_or_build(files, data)
    queue.put(len(calls))


def test_processes_that_start_at_once_share_one_build(files, data_of, tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [
        context.Process(target=_build_and_count, args=(files, data_of(cache_dir=tmp_path), queue))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    counts = sorted(queue.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert counts == [0, 0, 30]


def test_killed_build_leaves_no_cache_and_its_rest_is_cleared(files, build, folder) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from src.cli.command_line import compose_config\n"
        "from src.data import cache\n"
        "real = cache.decode\n"
        "cache.decode = lambda *a: time.sleep(0.2) or real(*a)\n"
        "import hashlib\n"
        "files = {hashlib.sha256(path.read_bytes()).hexdigest(): path\n"
        "         for path in map(Path, sys.argv[2:])}\n"
        "sizes = ['data.image_size=32', 'data.max_pixels=10000', 'data.decoder=pillow']\n"
        "config = compose_config([*sizes, f'data.cache_dir={sys.argv[1]}', 'model.weights=null'])\n"
        "cache.open_or_build(files, config.data)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder.parent), *map(str, files.values())],
        cwd=Path(__file__).parents[3],
    )
    deadline = time.monotonic() + 30
    while not list(folder.glob("*.unfinished")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(folder.glob("*.unfinished"))
    assert not list(folder.glob("*.npy"))
    build(files)
    assert not list(folder.glob("*.unfinished"))
    assert len(list(folder.glob("*.npy"))) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_explained_and_leaves_nothing(files, build, folder, monkeypatch) -> None:
    real_open = Path.open

    def open_on_full_disk(path: Path, mode: str = "r", **options: object):
        if path.name.endswith(".unfinished"):
            return real_open(Path("/dev/full"), mode, **options)
        return real_open(path, mode, **options)

    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(EnvironmentFaultError, match=r"No space left.*Fix: free some space"):
        build(files)
    assert not list(folder.glob("*.npy*"))
