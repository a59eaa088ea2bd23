import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from src.core.imports import large_imports


class Ring:
    """An object that only the garbage collector frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def is_freed(ring: weakref.ref) -> bool:
    gc.collect()
    return ring() is None


def test_collector_is_off_in_the_body_and_on_again_whatever_happens() -> None:
    def fail_to_import() -> None:
        with large_imports():
            assert not gc.isenabled()
            import no_such_module  # noqa: F401

    with pytest.raises(ImportError):
        fail_to_import()
    assert gc.isenabled()


def test_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with large_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_where_nothing_is_imported_garbage_is_still_freed() -> None:
    ring = weakref.ref(Ring())
    with large_imports():
        import json  # noqa: F401  it is there already
    assert is_freed(ring)


def test_what_comes_after_the_imports_is_freed(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with large_imports():
        import colorsys  # noqa: F401
    assert gc.get_freeze_count() > 1000
    ring = weakref.ref(Ring())
    assert is_freed(ring)


def test_what_c_libraries_say_meanwhile_is_shown_only_if_the_import_fails() -> None:
    script = "import os; from src.core.imports import large_imports\nwith large_imports(): "
    for body, shown in (("os.write(2, b'hello')", False), ("os.write(2, b'hello'); 1 / 0", True)):
        done = subprocess.run([sys.executable, "-c", script + body], capture_output=True, text=True)
        assert ("hello" in done.stderr) == shown
