"""Trials that take a second: the real path on the tiny backbone."""

import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from src.config import Config
from src.model.dropout import Dropout
from src.train import main
from src.training import TrialResult, run_trial
from src.training.checkpoint import Checkpoint


@pytest.fixture
def in_tmp_path(in_tmp_path: Path, copied_database: None) -> Path:
    """An empty working directory, in which a new store is ready at once."""
    return in_tmp_path


@pytest.fixture
def small_config(compose_config: Callable[..., Config], in_tmp_path: Path) -> Callable[..., Config]:
    """A small trial on drawn faces; the working directory is the test's own."""
    base = ["data.num_images=60", "data.image_size=32", "data.batch_size=8", "fit.epochs=4",
            "model.backbone=tiny",
            "model.weights=null", "model.dropout_rate=0.2", "model.input_mode=unit",
            "optimizer.learning_rate=1e-2", "augmentation=standard",
            "tracking.system_metrics=false", "tracking.keep_model=none"]  # fmt: skip
    return lambda *overrides: compose_config(*base, *overrides)


@pytest.fixture
def run(small_config: Callable[..., Config]) -> Callable[..., TrialResult]:
    """Run the small trial with overrides."""
    return lambda *overrides: run_trial(small_config(*overrides))


@pytest.fixture
def launch(in_tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Launch a sweep in this process; its exit status and printed text."""
    # Hydra closes all log handlers, and absl's closes pytest's standard error with itself.
    monkeypatch.setattr("absl.logging.PythonHandler.close", lambda self: None)

    def launched(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["train", "-m", *arguments])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
            print(end.code)
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return launched


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for each time that Python runs dropout: whether it was for training."""
    call, seen = Dropout.call, []

    def noted(self: Dropout, inputs: object, training: bool = False) -> object:
        seen.append(bool(training))
        return call(self, inputs, training)

    monkeypatch.setattr(Dropout, "call", noted)
    return seen


@pytest.fixture
def run_until_epoch(
    run: Callable[..., TrialResult], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., mlflow.entities.Run]:
    """Interrupt a trial just after an epoch was saved, before it is logged; its run."""
    save = Checkpoint.save

    def run_and_interrupt(epoch: int, *overrides: str) -> mlflow.entities.Run:
        def save_and_die(self, program, history, ends=False) -> None:
            save(self, program, history, ends)
            if len(history) == epoch:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Checkpoint, "save", save_and_die)
            with pytest.raises(KeyboardInterrupt):
                run(*overrides)
        (killed,) = MlflowClient().search_runs(["1"], "attributes.status = 'KILLED'")
        return killed

    return run_and_interrupt
