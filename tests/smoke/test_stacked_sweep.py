"""Sweeps over heads on a frozen backbone, whose trials train as stacked heads in few processes."""

from pathlib import Path

import numpy as np
import pytest

from src.core.names import State
from tests.integration.stored import curve
from tests.integration.tiny_weights import save_tiny_weights
from tests.smoke.test_sweep_processes import (
    children,
    logs,
    start,  # noqa: F401  a fixture
    trials,
    wait_for,
)

pytestmark = pytest.mark.slow

FROZEN = ["model.weights=any.weights.h5", "model.freeze=backbone", "augmentation=none"]
GRID = ["optimizer.learning_rate=1e-1,1e-2,1e-3", "model.dropout_rate=0,0.2,0.5", "seed=0,1"]


@pytest.fixture(autouse=True)
def weights(in_tmp_path: Path) -> None:
    save_tiny_weights()


def processes() -> set[str]:
    return {trial.tags["process.id"] for trial in trials()}


def printed() -> str:
    """Output of all processes."""
    files = {log.resolve() for log in logs("")()}
    return "".join(file.read_text() for file in sorted(files))


def test_grid_trains_in_one_process_to_the_errors_of_trials_alone(start) -> None:  # noqa: F811
    out, _ = start(*FROZEN, *GRID, "fit.epochs=4").communicate(timeout=300)
    assert "18 complete" in out, out
    together = trials()
    assert len(processes()) == 1
    assert {trial.tags["stacked"] for trial in together} == {"18"}
    out, _ = start(
        *FROZEN, *GRID, "fit.epochs=4", "study.name=alone", "hydra.launcher.max_stacked=1"
    ).communicate(timeout=300)
    assert "18 complete" in out, out
    alone = {trial.configuration_hash: trial for trial in trials("alone")}
    for trial in together:
        other = alone[trial.configuration_hash]
        assert "stacked" not in other.tags
        assert trial.metrics["best/val_mae"] == pytest.approx(
            other.metrics["best/val_mae"], abs=0.02
        )
    out, _ = start(*FROZEN, *GRID, "fit.epochs=4").communicate(timeout=300)
    assert "18 trials, 18 of them known" in out, out


def test_two_processes_share_the_trials(start) -> None:  # noqa: F811
    out, _ = start(*FROZEN, *GRID, "fit.epochs=2", "hydra.launcher.n_jobs=2").communicate(
        timeout=300
    )
    assert "18 complete" in out, out
    assert {trial.tags["stacked"] for trial in trials()} == {"9"}
    assert len(processes()) == 2


def test_killed_process_costs_its_trials_a_try_and_no_epoch(start) -> None:  # noqa: F811
    process = start(*FROZEN, *GRID, "fit.epochs=4000", "fit.early_stopping_patience=3999")
    wait_for(lambda: logs("epoch    5/4000")())
    (victim,) = children(process)
    victim.kill()
    wait_for(lambda: len(children(process)) == 1 and children(process) != [victim])
    wait_for(lambda: "\n4 trials with stacked heads" in printed())  # fewer: perhaps memory ran out
    length = len(printed())
    wait_for(lambda: len(printed()) > length + 500)  # some epochs more
    process.terminate()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    assert out.count("it will be tried again") == 18
    waiting = [trial for trial in trials() if trial.state is State.WAITING]
    assert len(waiting) == 4  # the others had not been tried again yet
    for trial in waiting:
        steps = [step for step, _ in curve(trial.run_id, "mae/val")]
        assert steps == list(range(1, len(steps) + 1))


def test_interrupted_sweep_continues_to_the_errors_of_an_undisturbed_one(start) -> None:  # noqa: F811
    long = [*FROZEN, *GRID, "fit.epochs=100"]
    process = start(*long)
    wait_for(lambda: logs("epoch   5/100")())
    process.terminate()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    assert {trial.state for trial in trials()} == {State.WAITING}
    # Heads without dropout train first; MLflow gets their epochs at their end.
    assert len(list(Path("mlruns/checkpoints").rglob("last.npy"))) == 6
    out, _ = start(*long).communicate(timeout=300)
    assert "18 complete" in out, out
    out, _ = start(*long, "study.name=undisturbed").communicate(timeout=300)
    undisturbed = {trial.configuration_hash: trial for trial in trials("undisturbed")}
    for trial in trials():
        other = undisturbed[trial.configuration_hash]
        ours, theirs = (np.array(curve(each.run_id, "mae/val")) for each in (trial, other))
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_hyperband_promotes_stacked_trials(start) -> None:  # noqa: F811
    out, _ = start(
        *FROZEN, "optimizer.learning_rate=tag(log,interval(1e-4,1e-1))",
        "hydra.sweeper.oracle=hyperband", "hydra.sweeper.reduction_factor=3", "fit.epochs=9",
    ).communicate(timeout=300)  # fmt: skip
    assert "complete" in out, out
    assert max(len(curve(trial.run_id, "mae/val")) for trial in trials()) == 9
    assert {trial.state for trial in trials()} == {State.COMPLETE}


def test_what_trains_alone_says_why(start) -> None:  # noqa: F811
    out, _ = start(*FROZEN[:2], "augmentation=flip", "seed=0,1", "fit.epochs=1").communicate(
        timeout=300
    )
    assert "do not train as stacked heads: every step draws new views of its pictures" in out
    assert "2 complete" in out
