import os
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from src.caches import main
from src.data.shards import open_or_build

ABOUT = {"rows": 7, "row_shape": [2, 2, 5], "model.freeze": "conv4", "data.image_size": 64,
         "model.weights": "abcdef0123456789", "view": None}  # fmt: skip


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    """Two caches of activations, the second one older, and one of pictures."""
    for view in (None, 2):
        open_or_build(tmp_path / "activations", {**ABOUT, "view": view},
                      lambda rows: np.zeros((len(rows), 2, 2, 5)))  # fmt: skip
    (tmp_path / "pictures").mkdir()
    np.save(tmp_path / "pictures/0123456789abcdef.npy", np.zeros((3, 32, 32, 3), np.uint8))
    (tmp_path / "pictures/0123456789abcdef.json").write_text("{}")
    return tmp_path


@pytest.fixture
def checkpoint(in_tmp_path: Path) -> Path:
    """The checkpoint of an interrupted trial of study `first try`, in the working directory."""
    folder = in_tmp_path / "mlruns/checkpoints/face-age/first try/0123abcd-d1"
    folder.mkdir(parents=True)
    (folder / "last.npy").write_bytes(b"0" * 3_000_000)
    (folder / "lock").touch()
    finished = folder.with_name("99999999-d1")
    finished.mkdir()
    (finished / "lock").touch()
    return folder


def call(cache_dir: Path, *arguments: str) -> None:
    main([*arguments, "--cache-dir", str(cache_dir)])


def test_all_are_listed_with_what_they_are(cache_dir, capsys) -> None:
    call(cache_dir)
    printed = " ".join(capsys.readouterr().out.split())
    assert "decoded pictures, 32 px" in printed
    assert "activations (2 × 2 × 5) after frozen conv4, 64 px, weights abcdef01" in printed
    assert "view 3" in printed


def test_beginning_of_a_name_evicts_that_one(cache_dir, capsys) -> None:
    call(cache_dir, "--evict", "0123")
    assert "Evicted 1" in capsys.readouterr().out
    assert not list(cache_dir.glob("pictures/*.npy")) + list(cache_dir.glob("pictures/*.json"))
    assert len(list(cache_dir.glob("activations/*/about.json"))) == 2


def test_all_evicts_everything(cache_dir, capsys) -> None:
    call(cache_dir, "--evict", "all")
    call(cache_dir)
    assert "Nothing is cached" in capsys.readouterr().out


@pytest.mark.parametrize("typed", ["nothing", ""])
def test_name_that_fits_none_is_refused(cache_dir, typed) -> None:
    with pytest.raises(SystemExit, match=r"it fits none.*Fix: one of"):
        call(cache_dir, "--evict", typed)
    assert len(list(cache_dir.glob("*/*.npy"))) == 1


def test_empty_name_is_refused_where_only_one_is_cached(tmp_path) -> None:
    (tmp_path / "pictures").mkdir()
    np.save(tmp_path / "pictures/0123.npy", np.zeros((3, 32, 32, 3), np.uint8))
    with pytest.raises(SystemExit, match=r"Received: --evict ''\. Fix: one of 0123"):
        call(tmp_path, "--evict", "")
    assert (tmp_path / "pictures/0123.npy").exists()


def test_name_that_fits_several_is_refused_with_their_names(cache_dir) -> None:
    np.save(cache_dir / "pictures/01239999.npy", np.zeros((3, 32, 32, 3), np.uint8))
    with pytest.raises(SystemExit, match=r"it fits 2.*Fix: one of .*0123456789abcdef"):
        call(cache_dir, "--evict", "0123")


def test_checkpoint_of_an_interrupted_trial_is_listed_and_freed(checkpoint, tmp_path, capsys):
    call(tmp_path)
    shown = " ".join(capsys.readouterr().out.split())
    assert "first try/0123abcd-d1" in shown
    assert "unfinished trial of study first try" in shown
    assert "3 MB." in shown
    assert "99999999" not in shown
    call(tmp_path, "--evict", "first try/0123")
    assert "Evicted 1: 3 MB are free." in capsys.readouterr().out
    assert not checkpoint.exists()


def test_checkpoint_of_a_running_trial_stays(checkpoint, tmp_path, capsys) -> None:
    with FileLock(checkpoint / "lock"):
        call(tmp_path, "--evict", "all")
    shown = capsys.readouterr().out
    assert "first try/0123abcd-d1 stays: its trial is running." in shown
    assert "Evicted 0" in shown
    assert (checkpoint / "last.npy").exists()


def test_damaged_caches_are_listed_and_can_go(cache_dir, capsys) -> None:
    (cache_dir / "pictures/0123456789abcdef.npy").write_bytes(b"")
    about = next(cache_dir.glob("activations/*/about.json"))
    about.write_text("{")
    os.utime(about, (1, 1))
    call(cache_dir)
    assert capsys.readouterr().out.count("0 damaged") == 2
    call(cache_dir, "--evict", "all")


def test_empty_folder_says_so(tmp_path, capsys) -> None:
    call(tmp_path)
    assert "Nothing is cached" in capsys.readouterr().out
