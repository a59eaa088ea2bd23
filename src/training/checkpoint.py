"""Checkpoint of an unfinished trial, from which it resumes after an interruption."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
from filelock import FileLock, Timeout

from src.config import Objective
from src.core.console import stderr
from src.core.errors import EnvironmentFaultError
from src.core.files import whole_file
from src.data.faults import disk_faults_explained
from src.training.history import History
from src.training.program import Program


class Checkpoint:
    """Last finished epoch, best epoch and kept epoch of one trial, in a folder of its own.

    `weights-<epoch>.npy` has an epoch's weights, `last.npy` the history and the rest of the state
    after the last epoch. Each file gets its name when it is complete and on disk, the weights
    first, so that `last.npy` always has the weights that belong to it. A file is one array after
    another: a zip archive such as NumPy's would checksum every byte.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, program: Program, history: History, ends: bool = False) -> None:
        """Writes the state after a finished epoch.

        Args:
            program: As it is after that epoch.
            history: All epochs.
            ends: Whether no epoch can follow: only the weights of `history` are needed then.

        Raises:
            EnvironmentFaultError: If it cannot be written, as on a full disk; the older state
                stays.
        """
        is_needed = len(history) in (history.best_epoch, history.kept_epoch)
        weights = program.weights if is_needed or not ends else []
        others = [] if ends else program.other_variables
        # One array at a time, without a copy of all of them.
        self.write(map(np.asarray, weights), map(np.asarray, others), history)

    def write(
        self,
        weights: Iterable[np.ndarray],
        others: Iterable[np.ndarray],
        history: History,
        best_weights: Sequence[np.ndarray] = (),
    ) -> None:
        """Writes the state after a finished epoch from arrays.

        Args:
            weights: Values of `Program.weights` after the last epoch.
            others: Values of `Program.other_variables` after the last epoch.
            history: All epochs.
            best_weights: Values of `Program.weights` after the best epoch; empty if that is the
                last one, or its file exists.

        Raises:
            EnvironmentFaultError: See `save`.
        """
        with disk_faults_explained(
            "The trial's state cannot be written",
            self._folder,
            "free some space (400 MB a trial) and start the same command again; it resumes from "
            "the last state",
        ):
            kept = {f"weights-{epoch}.npy" for epoch in (history.best_epoch, len(history))}
            if best_weights:
                self._write(f"weights-{history.best_epoch}", best_weights, {})
            self._write(f"weights-{len(history)}", weights, {})
            self._write("last", others, {"run_id": history.run_id, "epochs": history.epochs})
            for file in self._folder.glob("weights-*.npy"):
                if file.name not in kept:
                    file.unlink()

    def history(self, objective: Objective) -> History:
        """Returns the finished epochs; none if nothing, or nothing readable, is saved."""
        try:
            with (self._folder / "last.npy").open("rb") as file:
                state = json.loads(str(np.load(file)))
            return History(state["run_id"], tuple(state["epochs"]), objective)
        except FileNotFoundError:
            pass
        except (ValueError, OSError, EOFError, KeyError, TypeError) as error:
            stderr.print(f"The checkpoint cannot be read ({error}); the trial starts again.")
        return History("", (), objective)

    def restore(self, program: Program, history: History) -> None:
        """Loads the state after the last epoch into a compiled model with a built optimizer.

        Not after an epoch that ended the trial.

        Raises:
            EnvironmentFaultError: If the state is damaged or of another model.
        """
        self._restore(f"weights-{len(history)}", program.weights)
        self._restore("last", program.other_variables)

    def restore_weights(self, program: Program, epoch: int) -> None:
        """Loads the weights after the last, the best or the kept epoch into the model.

        Raises:
            EnvironmentFaultError: See `restore`.
        """
        self._restore(f"weights-{epoch}", program.weights)

    def clear(self) -> None:
        """Deletes everything."""
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
                    raise ValueError("it has more values than this model")
        except (ValueError, OSError, EOFError) as error:
            raise EnvironmentFaultError(
                f"The checkpoint does not fit: {error}. Received: {path}. "
                "Fix: fit.resume=false starts the trial again"
            ) from error


@contextmanager
def open_checkpoint(folder: Path) -> Iterator[Checkpoint]:
    """Opens the checkpoint in this folder, for this process only.

    An empty folder is removed at the end.

    Raises:
        EnvironmentFaultError: If another process runs the same trial.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise EnvironmentFaultError(
            "Another process is running this trial. "
            f"Received: {folder}. Fix: wait for it, or give this one another seed=…"
        ) from error
    try:
        yield Checkpoint(folder)
    finally:
        if not any(folder.glob("*.npy")):
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()
