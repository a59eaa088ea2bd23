from pathlib import Path

import keras
import numpy as np
import pytest

from src.config import Objective
from src.core.errors import EnvironmentFaultError
from src.training.checkpoint import open_checkpoint
from src.training.history import History
from src.training.program import Program

pytestmark = pytest.mark.slow

ONE = History("run", ({"epoch": 1, "mae/val": 9.0},))
TWO = ONE.plus({"epoch": 2, "mae/val": 8.0})
THREE = TWO.plus({"epoch": 3, "mae/val": 8.5})


@pytest.fixture
def program() -> Program:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    )
    model.compile("adam", loss="mse")
    model.optimizer.build(model.trainable_variables)
    return Program(model, None, model, model)


def train_a_step(program: Program) -> None:
    program.fitted.train_on_batch(np.ones((4, 3), np.float32), np.ones((4, 1), np.float32))


def state(program: Program) -> list[np.ndarray]:
    return [
        keras.ops.convert_to_numpy(variable).copy()
        for variable in (*program.weights, *program.other_variables)
    ]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_state_comes_back_with_optimizer_and_dropout_seeds(tmp_path, program) -> None:
    with open_checkpoint(tmp_path / "trial") as saved:
        assert len(saved.history(Objective())) == 0
        train_a_step(program)
        kept = state(program)
        saved.save(program, ONE)
        train_a_step(program)
        assert not same(state(program), kept)
        saved.restore(program, ONE)
        assert same(state(program), kept)
        assert saved.history(Objective()) == ONE


def test_best_epoch_comes_back_and_older_ones_go(tmp_path, program) -> None:
    with open_checkpoint(tmp_path / "trial") as saved:
        weights = []
        for history in (ONE, TWO, THREE):
            train_a_step(program)
            weights.append(program.regressor.get_weights())
            saved.save(program, history)
        files = (tmp_path / "trial").glob("*.npy*")
        assert {file.name for file in files} == {"last.npy", "weights-2.npy", "weights-3.npy"}
        saved.restore_weights(program, THREE.best_epoch)
        assert same(program.regressor.get_weights(), weights[1])


@pytest.mark.parametrize(("history", "best"), [(TWO, 1), (THREE, 1)])
def test_last_epoch_leaves_the_best_weights_and_little_else(
    tmp_path, program, history, best
) -> None:
    with open_checkpoint(tmp_path / "trial") as saved:
        weights = []
        for shorter in (ONE, TWO, THREE)[: len(history)]:
            train_a_step(program)
            weights.append(program.regressor.get_weights())
            saved.save(program, shorter, ends=shorter is history)
        train_a_step(program)
        assert saved.history(Objective()) == history
        saved.restore_weights(program, history.best_epoch)
        assert same(program.regressor.get_weights(), weights[best])
        assert (tmp_path / "trial" / "last.npy").stat().st_size < 1000


def test_full_disk_is_explained_and_the_older_state_stays(tmp_path, program, monkeypatch) -> None:
    with open_checkpoint(tmp_path / "trial") as saved:
        saved.save(program, ONE)
        kept = state(program)
        train_a_step(program)
        real_open = Path.open

        def open_on_full_disk(path: Path, mode: str = "r", **options: object):
            full = path.name.startswith("last") and "w" in mode
            return real_open(Path("/dev/full") if full else path, mode, **options)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", open_on_full_disk)
            with pytest.raises(EnvironmentFaultError, match=r"No space left.*Fix: free some space"):
                saved.save(program, TWO)
        assert saved.history(Objective()) == ONE
        saved.restore(program, ONE)
        assert same(state(program), kept)


def test_cleared_checkpoint_leaves_no_folder(tmp_path, program) -> None:
    with open_checkpoint(tmp_path / "trial") as saved:
        saved.save(program, ONE)
        saved.clear()
    assert not (tmp_path / "trial").exists()
    with open_checkpoint(tmp_path / "trial") as saved:
        saved.save(program, ONE)
    assert (tmp_path / "trial" / "last.npy").is_file()


def test_state_of_another_model_is_refused(tmp_path, program) -> None:
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])
    with open_checkpoint(tmp_path / "trial") as saved:
        saved.save(program, ONE)
        with pytest.raises(EnvironmentFaultError, match=r"Fix: fit\.resume=false"):
            saved.restore_weights(Program(other, None, other, other), 1)


def test_same_trial_twice_at_once_is_refused(tmp_path) -> None:
    with (
        open_checkpoint(tmp_path / "trial"),
        pytest.raises(EnvironmentFaultError, match="running this trial"),
        open_checkpoint(tmp_path / "trial"),
    ):
        pass
