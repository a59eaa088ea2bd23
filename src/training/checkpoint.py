"""The state of an unfinished trial on disk, from which it goes on after any interruption."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np
from filelock import FileLock, Timeout

from src.console import stderr
from src.errors import EnvironmentFaultError
from src.training.history import History
from src.training.program import Program


class Checkpoint:
    """Last finished epoch and best epoch of one trial, in a folder of its own.

    Each file appears under its name only when it is whole and on disk. The best epoch's file is
    written first and carries its number, so that at every instant the last epoch's file finds
    the best one that belongs to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, program: Program, history: History) -> None:
        """Write the state after a finished epoch.

        Raises:
            RuntimeError: If it cannot be written, as on a full disk; the older state stays.
        """
        is_best = history.best_epoch == len(history)
        self.write(_values(program.variables), _values(program.weights) if is_best else [], history)

    def write(
        self,
        variables: Sequence[np.ndarray],
        best_weights: Sequence[np.ndarray],
        history: History,
    ) -> None:
        """Write the state after a finished epoch from arrays.

        Args:
            variables: As `Program.variables`, after the latest epoch.
            best_weights: As `Program.weights`, after the best epoch; empty if its file is there.
            history: All epochs.

        Raises:
            RuntimeError: As `save`.
        """
        try:
            best = f"best-{history.best_epoch}"
            if best_weights:
                self._write(best, best_weights, {})
            self._write("last", variables, asdict(history))
            for file in self._folder.glob("best-*.npz"):
                if file.stem != best:
                    file.unlink()
        except OSError as error:
            raise EnvironmentFaultError(
                f"The trial's state cannot be written: {error.strerror or error}. "
                f"Received: {self._folder}. Fix: free some space (400 MB a trial) and start the "
                "same command again; it goes on from the last state"
            ) from error

    def history(self) -> History | None:
        """What had been done before; None where there is nothing, or nothing readable."""
        try:
            with (self._folder / "last.npz").open("rb") as file, np.load(file) as arrays:
                state = json.loads(str(arrays["state"]))
            return History(state["run_id"], tuple(state["epochs"]))
        except FileNotFoundError:
            return None
        except (ValueError, OSError, EOFError, KeyError, TypeError, BadZipFile) as error:
            stderr.print(f"The saved state cannot be read ({error}); the trial starts anew.")
            return None

    def restore(self, program: Program) -> None:
        """Put the last finished epoch's state into a compiled model with a built optimizer.

        Raises:
            RuntimeError: If the state is damaged or of another model.
        """
        self._restore("last", program.variables)

    def restore_best(self, program: Program, history: History) -> None:
        """Put the best epoch's weights into the model."""
        self._restore(f"best-{history.best_epoch}", program.weights)

    def clear(self) -> None:
        """Forget everything."""
        for file in self._folder.glob("*.npz*"):
            file.unlink()

    def _write(self, name: str, arrays: Sequence[np.ndarray], state: dict[str, object]) -> None:
        unfinished = self._folder / f"{name}.npz.unfinished"
        with unfinished.open("wb") as file:
            np.savez(file, *arrays, state=np.array(json.dumps(state)))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._folder / f"{name}.npz")

    def _restore(self, name: str, variables: list[keras.Variable]) -> None:
        path = self._folder / f"{name}.npz"
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                for place, variable in enumerate(variables):
                    variable.assign(arrays[f"arr_{place}"])
        except (ValueError, OSError, EOFError, KeyError, BadZipFile) as error:
            raise EnvironmentFaultError(
                f"The trial's saved state does not fit: {error}. Received: {path}. "
                "Fix: fit.resume=false starts the trial anew"
            ) from error


@contextmanager
def open_checkpoint(folder: Path) -> Iterator[Checkpoint]:
    """The checkpoint in this folder, for this process alone.

    The folder is removed at the end when nothing is left in it.

    Raises:
        RuntimeError: If another process runs the same trial.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise EnvironmentFaultError(
            "Another process is running this very trial. "
            f"Received: {folder}. Fix: wait for it, or give this one another seed=…"
        ) from error
    try:
        yield Checkpoint(folder)
    finally:
        if not any(folder.glob("*.npz")):
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _values(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in variables]
