"""Command lines, and answers that need no heavy import."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = ("tensorflow", "keras", "keras_tuner", "mlflow", "matplotlib", "cv2", "PIL", "pandas")


@pytest.fixture
def train(start) -> Callable[..., subprocess.CompletedProcess]:
    """Run to the end and list the heavy libraries that were imported, under `heavy`."""

    def trained(*arguments: str):
        process = start(*arguments, options=("-X", "importtime"))
        out, err = process.communicate(timeout=60)
        imported = set(re.findall(r"\| +(\w+)", err))
        err = "".join(line for line in err.splitlines(True) if "import time:" not in line)
        done = subprocess.CompletedProcess(arguments, process.returncode, out, err)
        done.heavy = imported & set(HEAVY)
        assert "hydra" in imported
        return done

    return trained


@pytest.mark.parametrize("arguments", [["+trial=3", "--cfg", "job"], ["--help"], ["--hydra-help"]])
def test_looking_costs_no_heavy_import_and_leaves_no_file(train, tmp_path, arguments) -> None:
    done = train(*arguments)
    assert done.returncode == 0, done.stderr
    assert not done.heavy
    assert not list(tmp_path.iterdir())


def test_configuration_shows_the_trial_and_the_command_line(train) -> None:
    shown = train("+trial=3", "data.batch_size=8", "--cfg", "job").stdout
    for line in ("learning_rate: 0.0003", "dropout_rate: 0.2", "batch_size: 8", "trial: 3"):
        assert line in shown


def test_help_lists_commands_groups_and_keys(train) -> None:
    shown = train("--help").stdout
    for text in ("+trial=3", "augmentation: flip, none, seed, standard", "learning_rate: 0.0001"):
        assert text in shown


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("model.dropout_rate=1.5", "Received: model.dropout_rate=1.5. Fix: model.dropout_rate="),
        ("optimizer.learning_rate=fast", "Value 'fast' of type 'str' could not be converted"),
        ("optimizer.lerning_rate=1e-3", "Fix: optimizer.learning_rate"),
        ("data.splt.seed=1", "Fix: data.split.seed"),
        ("model.loss=rmse", "expected one of [mse, mae, huber]. Received: model.loss=rmse"),
        ("nonsense", "missing EQUAL"),
        ("+optimizer.learning_rte=1e-3", "Fix: optimizer.learning_rate"),
        ("+trial=9", "Available options in 'trial'"),
        ("augmentation=strong", "Available options in 'augmentation'"),
        ("data=utkface", "Fix: data.root=<folder>"),
        ("model.weights=none.weights.h5", "The weights file does not exist"),
        ("+sweep=small", "Fix: python -m src.train -m +sweep=small"),
        ("-m +sweep=lr_bach", "Available options in 'sweep'"),
        ("-m optimizer.learning_rate=interval(1e-5,1e-3)", "A grid needs a list of values"),
        ("-m hydra.sweeper.oracle=random seed=0,1", "Fix: hydra.sweeper.max_trials=20"),
        ("-m seed=0,1 data=utkface", "Fix: data.root=<folder>"),
        ("-m seed=0,1 fit.epochs=0", "`fit.epochs` must be >= 1"),
        ("-m seed=0,1 --cfg job", "Fix: leave out -m"),
    ],
)
def test_mistake_is_explained_without_traceback_and_heavy_import(train, argument, message) -> None:
    done = train(*argument.split())
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.heavy


@pytest.mark.slow
def test_missing_weights_are_explained_before_training(start, tmp_path, environment) -> None:
    environment |= {
        "KERAS_HOME": str(tmp_path / "keras"), "https_proxy": "http://127.0.0.1:9",
    }  # fmt: skip
    process = start("+trial=3", "+scale=small", "data.num_images=40", "model.weights=imagenet")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "model.weights=null" in err
    assert str(Path("keras") / "models") in err
