"""The state of an unfinished trial on disk, from which it goes on after any interruption."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from filelock import FileLock, Timeout

from src.core.console import stderr
from src.core.errors import EnvironmentFaultError
from src.core.files import whole_file
from src.training.history import History
from src.training.program import Program


class Checkpoint:
    """Last finished epoch and best epoch of one trial, in a folder of its own.

    `weights-<epoch>.npy` has an epoch's weights, `last.npy` the history and all else that the
    last epoch left. Each file appears under its name only when it is whole and on disk, the
    weights first, so that at every instant `last.npy` finds both weights that belong to it. A
    file is one array after another: a zip archive such as NumPy's would sum up every byte.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, program: Program, history: History, ends: bool = False) -> None:
        """Write the state after a finished epoch.

        Args:
            program: As it is after that epoch.
            history: All epochs.
            ends: Whether no epoch can follow: only the best weights are needed then.

        Raises:
            RuntimeError: If it cannot be written, as on a full disk; the older state stays.
        """
        is_best = history.best_epoch == len(history)
        weights = _values(program.weights) if is_best or not ends else ()
        others = () if ends else _values(program.other_variables)
        self.write(weights, others, history)

    def write(
        self,
        weights: Iterable[np.ndarray],
        others: Iterable[np.ndarray],
        history: History,
        best_weights: Sequence[np.ndarray] = (),
    ) -> None:
        """Write the state after a finished epoch from arrays.

        Args:
            weights: As `Program.weights`, after the last epoch.
            others: As `Program.other_variables`, after the last epoch.
            history: All epochs.
            best_weights: As `Program.weights`, after the best epoch; empty where that is the last
                one, or its file is there.

        Raises:
            RuntimeError: As `save`.
        """
        try:
            kept = {f"weights-{history.best_epoch}.npy", f"weights-{len(history)}.npy"}
            if best_weights:
                self._write(f"weights-{history.best_epoch}", best_weights, {})
            self._write(f"weights-{len(history)}", weights, {})
            self._write("last", others, asdict(history))
            for file in self._folder.glob("weights-*.npy"):
                if file.name not in kept:
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
            with (self._folder / "last.npy").open("rb") as file:
                state = json.loads(str(np.load(file)))
            return History(state["run_id"], tuple(state["epochs"]))
        except FileNotFoundError:
            return None
        except (ValueError, OSError, EOFError, KeyError, TypeError) as error:
            stderr.print(f"The saved state cannot be read ({error}); the trial starts anew.")
            return None

    def restore(self, program: Program, history: History) -> None:
        """Put the last finished epoch's state into a compiled model with a built optimizer.

        Not after an epoch that ended the trial.

        Raises:
            RuntimeError: If the state is damaged or of another model.
        """
        self._restore(f"weights-{len(history)}", program.weights)
        self._restore("last", program.other_variables)

    def restore_best(self, program: Program, history: History) -> None:
        """Put the best epoch's weights into the model."""
        self._restore(f"weights-{history.best_epoch}", program.weights)

    def clear(self) -> None:
        """Forget everything."""
        for file in self._folder.glob("*.npy*"):
            file.unlink()

    def _write(self, name: str, arrays: Iterable[np.ndarray], state: dict[str, object]) -> None:
        with whole_file(self._folder / f"{name}.npy") as file:
            np.save(file, np.array(json.dumps(state)))
            for array in arrays:
                np.save(file, array)

    def _restore(self, name: str, variables: Sequence[keras.Variable]) -> None:
        path = self._folder / f"{name}.npy"
        try:
            with path.open("rb") as file:
                np.load(file)
                for variable in variables:
                    variable.assign(np.load(file))
                if file.read(1):
                    raise ValueError("it holds more than this model")
        except (ValueError, OSError, EOFError) as error:
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
        if not any(folder.glob("*.npy")):
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _values(variables: list[keras.Variable]) -> Iterator[np.ndarray]:
    """One at a time: to copy them all first would take as long again as to write them."""
    return (np.asarray(variable) for variable in variables)
