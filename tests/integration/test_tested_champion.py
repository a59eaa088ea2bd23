"""A study's best trial is measured on the test part, once, and its model registered."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from src.champion import main
from src.data import sample
from src.evaluation import final_test
from src.tracking.study import StudyStore
from tests.integration.stored import artifacts, fetch, read_artifact

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def train(run) -> Callable[..., str]:
    """Run a trial of the study `mine` that keeps its model; its run id."""

    def trained(number: int, *overrides: str) -> str:
        return run("study.name=mine", f"study.trial={number}", "fit.epochs=1",
                   "tracking.keep_model=all", *overrides).run_id  # fmt: skip

    return trained


@pytest.fixture
def crown(capsys) -> Callable[..., str]:
    """Type `python -m src.champion …` in this process; what it printed."""

    def crowned(*arguments: str) -> str:
        capsys.readouterr()
        main(arguments)
        return capsys.readouterr().out

    return crowned


@pytest.fixture
def refusal(crown) -> Callable[..., str]:
    """Error of a refused command."""

    def refused(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ending:
            crown(*arguments)
        assert isinstance(ending.value.code, str)
        return ending.value.code

    return refused


def evaluations_kept_by(run_id: str) -> list[str]:
    tags = fetch(run_id).data.tags
    return [json.loads(value)["trial"] for key, value in tags.items() if "test.taken" in key]


def test_best_trial_is_tested_once_registered_and_loadable(train, crown, refusal) -> None:
    runs = [train(1), train(2, "optimizer.learning_rate=1e-4")]
    errors = [fetch(run_id).data.metrics["best/val_mae"] for run_id in runs]
    assert errors[0] != errors[1]
    best = int(np.argmin(errors))
    shown = crown("study=mine")
    assert "http://127.0.0.1:5000/#/models/face-age/versions/1" in shown

    metrics = fetch(runs[best]).data.metrics
    assert "test/mae" not in fetch(runs[1 - best]).data.metrics
    table = pd.read_parquet(read_artifact(runs[best], "predictions/test.parquet"))
    signed = (table["prediction"] - table["age"]).to_numpy()
    assert metrics["test/mae"] == pytest.approx(np.abs(signed).mean(), abs=1e-5)
    assert metrics["test/rmse"] == pytest.approx(np.sqrt(np.mean(signed**2)), abs=1e-5)
    assert metrics["test/bias"] == pytest.approx(signed.mean(), abs=1e-5)
    assert metrics["test/mae_low"] < metrics["test/mae"] < metrics["test/mae_high"]
    gap = metrics["test/mae"] - metrics["best/train_mae"]
    assert metrics["test/gap"] == pytest.approx(gap, abs=1e-9)
    bands = pd.read_csv(read_artifact(runs[best], "metrics/test_by_age_band.csv"))
    assert bands["n"].sum() == len(table) == 12
    assert np.average(bands["mae"], weights=bands["n"]) == pytest.approx(metrics["test/mae"])

    client = MlflowClient()
    version = client.get_model_version_by_alias("face-age", "champion")
    assert client.get_model_version_by_alias("face-age", "champion-mine").version == 1
    assert version.run_id == runs[best]
    assert version.tags == {
        "study": "mine", "trial": f"trial {best + 1}", "test_mae": f"{metrics['test/mae']:.4f}",
    }  # fmt: skip
    card = read_artifact(runs[best], "model_card.md").read_text()
    assert version.description == card
    assert f"**{metrics['test/mae']:.2f}**" in card
    assert "The best of 2 complete trials" in card
    assert "Test-set evaluation 1 of the study." in card

    message = refusal("mine")
    assert message.startswith('error: Study "mine" was evaluated on its test part already: trial ')
    assert "Fix: use the recorded result" in message
    assert evaluations_kept_by(runs[best]) == [f"trial {best + 1}"]

    shown = crown("mine", "--again", "--trial", str(2 - best))
    assert "Test-set evaluation 2. Registered as version 2" in shown
    assert 'champion was version 1 of study "mine"' in shown
    second = client.get_model_version_by_alias("face-age", "champion")
    assert second.version == 2
    assert "Number 2, chosen by hand, of 2 complete trials" in second.description
    assert "Test-set evaluation 2 of the study (trial " in second.description
    assert evaluations_kept_by(runs[1 - best]) == [f"trial {2 - best}"]
    assert "on its test part already: trial " in refusal("mine")


def test_champion_predicts_what_was_measured_also_where_its_folder_was_moved(
    train, crown, small_config, in_tmp_path, monkeypatch, tmp_path_factory
) -> None:
    run_id = train(1)
    crown("mine")
    table = pd.read_parquet(read_artifact(run_id, "predictions/test.parquet"))
    config = small_config("study.name=mine")
    pictures = final_test.prepare(config.data, config.target).part("test").inputs(
        np.arange(len(table))
    )  # fmt: skip
    for query in ("SELECT storage_location FROM model_versions",
                  "SELECT artifact_location FROM logged_models"):  # fmt: skip
        with sqlite3.connect("mlflow.db") as connection:
            (place,) = connection.execute(query).fetchone()
        connection.close()
        assert place.startswith("mlruns/artifacts/")

    moved = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.move(in_tmp_path, moved)
    np.save(moved / "pictures.npy", pictures)
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import mlflow, numpy as np\n"
        "model = mlflow.pyfunc.load_model('models:/face-age@champion')\n"
        "np.save('ages.npy', model.predict(np.load('pictures.npy')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=moved, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    ages = np.load(moved / "ages.npy")
    assert ages.shape == (12, 1)
    assert ages[:, 0] == pytest.approx(table["prediction"].to_numpy(), abs=1e-3)


def test_sweep_keeps_the_count_with_its_study_run(train, crown, refusal) -> None:
    run_id = train(1)
    store = StudyStore("face-age", "mine")
    store.open_parent({})
    store.adopt(run_id, {})
    store.close_parent("FINISHED", "COMPLETE")
    crown("mine")
    assert not evaluations_kept_by(run_id)
    assert evaluations_kept_by(store.parent_id) == ["trial 1"]
    assert "on its test part already" in refusal("mine")


def test_evaluation_counts_though_the_command_dies_before_it_registers(
    train, crown, refusal, monkeypatch
) -> None:
    train(1)

    def die(*arguments) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(final_test, "measure", die)
        with pytest.raises(SystemExit):  # while it checks the model on validation faces
            crown("mine")
        patched.undo()
        patched.setattr("src.evaluation.champion.register", die)
        with pytest.raises(SystemExit) as ending:
            crown("mine")
        assert ending.value.code == 130
    assert "on its test part already: trial 1 at 2" in refusal("mine")
    assert not MlflowClient().search_registered_models()
    assert "Test-set evaluation 2. Registered as version 1" in crown("mine", "--again")


def test_trial_that_measured_the_test_part_itself_is_an_evaluation(train, crown, refusal) -> None:
    run_id = train(1, "fit.evaluate_test=true")
    train(2)
    message = refusal("mine", "--trial", "2")
    assert "on its test part already: trial 1 at 2" in message
    assert "Test-set evaluation 2." in crown("mine", "--trial", "1", "--again")
    assert "Test-set evaluation 3." in crown("mine", "--trial", "1", "--again")
    assert "evaluation 3 of" in read_artifact(run_id, "model_card.md").read_text()


def test_evaluations_of_other_studies_on_the_same_faces_are_counted(train, crown, run) -> None:
    run("study.name=other", "fit.epochs=1", "fit.evaluate_test=true")
    run("study.name=others", "fit.epochs=1", "fit.evaluate_test=true", "data.split.seed=1")
    run_id = train(1)
    crown("mine")
    card = read_artifact(run_id, "model_card.md").read_text()
    assert "of the study; 1 trial of other studies used the same test part." in card


def test_what_cannot_be_tested_is_explained_and_is_no_evaluation(
    train, run, crown, refusal, run_until_epoch, monkeypatch, small_config
) -> None:
    run_until_epoch(1, "study.name=interrupted", "study.trial=1")
    assert 'No trial of study "interrupted" is complete.' in refusal("interrupted")
    assert "Received: TRIAL=1, which is WAITING" in refusal("interrupted", "--trial", "1")

    run_id = train(1)
    assert 'has no study "mime". Received: STUDY=mime. Fix:' in refusal("mime")
    assert "Received: --experiment face. Fix: face-age" in refusal("mine", "--experiment", "face")
    assert 'Trial 9 is not in study "mine"' in refusal("mine", "--trial", "9")

    run("study.name=without", "fit.epochs=1", "tracking.keep_model=all",
        "data.split.test_fraction=0")  # fmt: skip
    assert "data.split.method=stratified data.split.test_fraction=0 on 60" in refusal("without")

    other = small_config("data.split.seed=1")
    prepare = final_test.prepare
    with monkeypatch.context() as patched:
        patched.setattr(final_test, "prepare", lambda *_: prepare(other.data, other.target))
        assert "These are not the faces of trial 1" in refusal("mine")
    with monkeypatch.context() as patched:
        load = mlflow.keras.load_model

        def load_another(uri: str):
            model = load(uri)
            model.set_weights([0 * weight for weight in model.get_weights()])
            return model

        patched.setattr("mlflow.keras.load_model", load_another)
        assert "The stored model is not the model of trial 1" in refusal("mine")
    assert "test/mae" not in fetch(run_id).data.metrics
    assert "model_card.md" not in artifacts(run_id)
    assert not evaluations_kept_by(run_id)
    assert "Test-set evaluation 1." in crown("mine")


def test_trial_that_kept_no_model_is_replayed_with_one(run, train, crown, refusal) -> None:
    run("study.name=mine", "study.trial=1", "fit.epochs=1")
    message = refusal("mine")
    assert "Received: tracking.keep_model=none" in message
    assert 'Fix: python -m src.replay "mine" 1 tracking.keep_model=all' in message
    train(1)  # what the replay runs
    assert "Test-set evaluation 1." in crown("mine")


def test_faces_may_have_moved_but_not_changed(run, crown, refusal, in_tmp_path) -> None:
    drawn = sample.draw_data_set(60, Path(".cache/sample"))
    shutil.copytree(drawn, "faces")
    run("data=labels_csv", "data.root=faces", "study.name=real", "fit.epochs=1",
        "tracking.keep_model=all")  # fmt: skip
    Path("faces").rename("moved")
    message = refusal("real")
    assert "The folder of the faces is not there. Received: data.root=faces" in message
    assert 'Fix: make champion STUDY="real" ROOT=<where it is now>' in message

    shutil.copytree("moved", "changed")
    table = pd.read_csv("changed/labels.csv")
    table.assign(real_age=table["real_age"][::-1].to_numpy()).to_csv("changed/labels.csv")
    assert "These are not the faces of learning rate" in refusal("real", "--root", "changed")
    assert "Test-set evaluation 1." in crown("real", "--root", "moved")
