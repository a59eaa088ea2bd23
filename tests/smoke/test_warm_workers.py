"""Trials that follow one another in one process, and come to the numbers of trials that do not."""

import os
import signal
import time
from pathlib import Path

import pytest

from src.core.names import State
from tests.smoke.test_killed_sweep import account
from tests.smoke.test_sweep_processes import (
    children,
    logs,
    start,  # noqa: F401  a fixture
    trials,
    wait_for,
)

pytestmark = pytest.mark.slow

THREE = ["optimizer.learning_rate=1e-2,1e-3,3e-3", "fit.epochs=40"]
NUM_TRIALS = int(os.environ.get("NUM_WARM_TRIALS", "50"))


def processes() -> list[str]:
    """The process of each trial, by number."""
    return [trial.tags["process.id"] for trial in trials()]


def by_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple]:
    return {name: rest for name, *rest in account(folder, monkeypatch).values()}


def test_warm_process_comes_to_the_numbers_of_cold_ones(start, tmp_path, monkeypatch) -> None:  # noqa: F811
    warm = ["seed=0,1", "optimizer.learning_rate=1e-2,1e-3", "data.batch_size=8,16"]
    cold = ["data.batch_size=16,8", "optimizer.learning_rate=1e-3,1e-2", "seed=1,0",
            "hydra.launcher.warm=false"]  # fmt: skip
    augmented = ["augmentation=standard", "model.dropout_rate=0.2", "optimizer=adamw"]
    found = []
    for name, grid in (("warm", warm), ("cold", cold)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        out, _ = start(*grid, *augmented, "fit.epochs=3").communicate(timeout=600)
        assert "8 complete" in out, out
        found.append(by_configuration(tmp_path / name, monkeypatch))
        assert len(set(processes())) == (1 if name == "warm" else 8)
    assert len(found[0]) == 8
    assert found[0] == found[1]


def test_trial_of_another_program_has_another_process(start) -> None:  # noqa: F811
    process = start("optimizer.learning_rate=1e-2,1e-3", "optimizer=adam,sgd", "fit.epochs=1")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    by_optimizer = {
        name: {t.tags["process.id"] for t in trials() if t.params["optimizer.name"] == name}
        for name in ("Adam", "SGD")
    }
    assert [len(its) for its in by_optimizer.values()] == [1, 1]
    assert by_optimizer["Adam"] != by_optimizer["SGD"]


def test_process_that_is_killed_in_its_second_trial_costs_that_one_a_try(start) -> None:  # noqa: F811
    process = start(*THREE)
    wait_for(lambda: len(logs("epoch  3/40")()) == 2)
    (victim,) = children(process)
    victim.kill()
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert out.count("it will be tried again") == 1
    assert [trial.state for trial in trials()] == [State.COMPLETE] * 3
    first, second, third = processes()
    assert int(first) == victim.pid
    assert victim.pid not in (int(second), int(third))
    assert len(logs("Resuming after epoch")()) == 1


def test_interrupt_in_the_second_trial_saves_and_stops(start) -> None:  # noqa: F811
    process = start(*THREE)
    wait_for(lambda: len(logs("epoch  3/40")()) == 2)
    workers = children(process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in out
    assert not any(worker.is_running() for worker in workers)
    assert [trial.state for trial in trials()] == [State.COMPLETE, State.WAITING]
    again = start(*THREE)
    out, _ = again.communicate(timeout=300)
    assert again.returncode == 0, out
    assert [trial.state for trial in trials()] == [State.COMPLETE] * 3
    assert len(logs("Resuming after epoch")()) == 1


def test_memory_of_a_warm_process_stays_flat(start) -> None:  # noqa: F811
    process = start(f"seed=range({NUM_TRIALS})", "fit.epochs=1")
    resident: dict[int, float] = {}  # MB, while so many trials were over
    while process.poll() is None:
        num_ended = len(logs("Validation MAE")())
        for worker in children(process):
            resident[num_ended] = worker.memory_info().rss / 1e6
        time.sleep(0.2)
    assert process.returncode == 0, process.communicate()[0]
    assert len(set(processes())) == 1
    early = [resident[number] for number in resident if 9 <= number <= 13]
    late = [resident[number] for number in resident if number >= NUM_TRIALS - 4]
    assert max(late) < max(early) + 25, resident
