"""`make report` on studies in every state, written into a store without training."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from src.analysis.study_data import read_study
from src.core.names import State
from src.report import main
from src.tracking.bulk_reading import read_curves
from src.tracking.study import open_study
from tests.unit.analysis.made_study import EXPERIMENT, add_trial, grid, make_study

pytestmark = pytest.mark.usefixtures("in_tmp_path", "copied_database")


def report(name: str, *arguments: str) -> tuple[str, str]:
    """README.md and report.html."""
    main([f"study={name}", *arguments])
    folder = Path("experiments") / name
    return (folder / "README.md").read_text(), (folder / "report.html").read_text()


def predictions(count: int, error: float, file_name: str = "f.png") -> pd.DataFrame:
    return pd.DataFrame(
        {"row": range(count), "file_name": file_name, "age": range(count),
         "prediction": [age + error for age in range(count)]}
    )  # fmt: skip


def test_finished_study_answers_and_draws(capsys) -> None:
    make_study("one", grid(), lambda c: 2.0 * (c["optimizer.learning_rate"] == "1e-05"))
    markdown, _ = report("one")
    printed = capsys.readouterr().out
    for heading in ("Leaderboard", "Overfitting", "Effects", "Four checks", "Faces", "Reproduce"):
        assert f"## {heading}" in markdown
    assert "python -m src.train -m" in markdown
    assert "always the median age" in markdown
    folder = Path("experiments/one")
    names = {file.stem for file in (folder / "figures").glob("*.png")}
    assert {"leaderboard", "curves", "gap_against_mae", "effects_on_gap", "age_bands",
            "parallel_coordinates", "effect_by_level", "importances"} <= names  # fmt: skip
    for name in names:
        assert f"figures/{name}.png" in markdown
    board = pd.read_csv(folder / "tables/leaderboard.csv")
    assert board["val_mae"][:12].is_monotonic_increasing
    assert (board["low"][:12] < board["val_mae"][:12]).all()
    effects = pd.read_csv(folder / "tables/effects.csv").set_index(["key", "to", "outcome"])
    slow = effects.loc[("optimizer.learning_rate", 0.0001, "val_mae")]
    assert slow["effect"] == pytest.approx(-2, abs=0.4)
    assert slow["p_holm"] < 0.001
    assert "http://127.0.0.1:5000/#/experiments/" in printed


def test_report_is_logged_to_the_parent_run_too(capsys) -> None:
    make_study("one", grid()[:2], num_seeds=1)
    report("one")
    data = read_study(EXPERIMENT, "one")
    folder = Path(f"mlruns/artifacts/{data.parent_id}/artifacts/report")
    assert (folder / "report.html").is_file()
    assert (folder / "figures/leaderboard.png").is_file()
    assert str(folder / "report.html") in capsys.readouterr().out


def test_study_in_every_state() -> None:
    with open_study(EXPERIMENT, "mixed") as store:
        store.open_parent({"question": "What?"})
        for number, (state, tags) in enumerate(
            [
                (State.COMPLETE, {}),
                (State.COMPLETE, {}),
                (State.PRUNED, {"pruned": "behind the others | at epoch 2"}),
                (State.FAILED, {"infeasible": "The loss is not finite"}),
                (State.FAILED, {"failure": "OSError: <disk> full"}),
                (State.RUNNING, {}),
                (State.WAITING, {}),
            ],
            start=1,
        ):
            part = predictions(40, 2.0 + number)
            add_trial(
                store, number, {"model.dropout_rate": f"0.{number}"}, {"val": part, "train": part},
                num_epochs=0 if state is State.WAITING else 3, state=state, tags=tags,
            )  # fmt: skip
    markdown, html = report("mixed")
    assert "2 trials running or waiting: this report is preliminary." in markdown
    assert "1 pruned trial excluded" in markdown
    assert "1 infeasible and 1 failed of 5 ended trials" in markdown
    assert "behind the others \\| at epoch 2" in markdown
    assert "OSError: &lt;disk> full" in markdown
    assert "&lt;disk&gt;" in html
    assert "<disk>" not in html


def test_one_trial_and_none() -> None:
    make_study("single", grid()[:1], num_seeds=1, num_epochs=1)
    markdown, _ = report("single")
    assert "do not differ in any hyperparameter" in markdown
    with open_study(EXPERIMENT, "empty") as store:
        store.open_parent({"question": "What?"})
    markdown, _ = report("empty")
    assert "0 trials: none has ended." in markdown
    assert "nothing to rank" in markdown


def test_trials_of_other_faces_are_excluded() -> None:
    make_study("two", grid()[:4], num_seeds=1)
    with open_study(EXPERIMENT, "two") as store:
        store.open_parent({})
        part = predictions(9, 0.0)
        params, parts = {"data.batch_size": "64"}, {"val": part, "train": part}
        add_trial(store, 5, params, parts, 3, tags={"data_digest": "other"})
    markdown, _ = report("two")
    assert "1 complete trial excluded from all comparisons" in markdown
    assert "| 5 |" not in markdown.partition("## Overfitting")[0]


def test_studies_without_stored_predictions_use_recorded_intervals() -> None:
    make_study("old", grid(), with_predictions=False)
    markdown, _ = report("old")
    assert "Errors of single faces were not kept" in markdown
    assert "## Faces" not in markdown


def test_text_around_the_report_is_kept() -> None:
    make_study("one", grid()[:2], num_seeds=1)
    report("one")
    path = Path("experiments/one/README.md")
    path.write_text(f"Our reading.\n\n{path.read_text()}\nOur caveats.\n")
    first = path.read_text()
    markdown, _ = report("one")
    assert markdown == first
    path.write_text("Only ours.\n")
    with pytest.raises(SystemExit, match="has no place for a report"):
        main(["one"])
    assert path.read_text() == "Only ours.\n"


def test_faces_of_people_stay_on_the_local_page(tmp_path: Path) -> None:
    root = tmp_path / "people" / "final_files"
    root.mkdir(parents=True)
    Image.new("RGB", (50, 40), (200, 10, 10)).save(root / "face.png")
    params = {"data.layout": "labels_csv", "data.root": str(root.parent),
              "data.max_pixels": "1000000"}  # fmt: skip
    part = predictions(30, 3.0, "final_files/face.png")
    with open_study(EXPERIMENT, "people") as store:
        words = [f"data.root={root.parent}", f"'model.weights={tmp_path}/a b.h5'", "-m", "x=1,2"]
        store.open_parent({"command": f"python -m src.train {' '.join(words)}"})
        for number in (1, 2):
            rate = {"model.dropout_rate": f"0.{number}"}
            own = rate | {"model.weights": f"{tmp_path}/{number}.h5"}
            add_trial(store, number, params | own, {"val": part, "train": part}, 3)
        failed = {"failure": f"FileNotFoundError: '{tmp_path}/face.png'"}
        parts = {"val": part, "train": part}
        add_trial(store, 3, params, parts, 1, state=State.FAILED, tags=failed)
    markdown, html = report("people")
    parent = read_study(EXPERIMENT, "people").parent_id
    local = Path(f"mlruns/artifacts/{parent}/artifacts/report/report.html").read_text()
    assert local.count("years, predicted") == 24  # twelve faces, twice
    written = [file for file in Path("experiments").rglob("*") if file.is_file()]
    assert "years, predicted" not in html
    for file in written:
        assert str(tmp_path).encode() not in file.read_bytes(), file
    assert "python -m src.train data.root=<path> model.weights=<path> -m x=1,2" in markdown
    assert "FileNotFoundError: '&lt;path>'" in markdown
    assert "1.h5" in markdown


def test_claims_are_read_from_the_trials_or_from_a_file() -> None:
    make_study("one", grid(), lambda c: -2.0 * (c["model.dropout_rate"] == "0.2"))
    markdown, _ = report("one")
    assert "## Conclusions" not in markdown
    markdown, _ = report("one", "--claims", "seed")
    assert "Dropout after the backbone lowers the validation error. | supported" in markdown
    assert "The claims were stated after the trials had run" in markdown
    trials = read_study(EXPERIMENT, "one").trials
    config = {
        "study.question": "",
        "study.claims": [
            {"says": "Dropout harms.", "raising": "model.dropout_rate", "moves": "val_mae",
             "direction": "up", "at_least": 0.0}
        ],
    }  # fmt: skip
    for trial, is_late in ((trials[-1], True), (trials[0], False)):  # only the last, then both
        file = Path(f"mlruns/artifacts/{trial.run_id}/artifacts/config.json")
        file.write_text(json.dumps(config))
        markdown, _ = report("one")
        assert "Dropout harms. | contradicted" in markdown
        assert ("The claims were stated after" in markdown) == is_late


def test_target_and_objective_are_those_of_the_record() -> None:
    part = predictions(40, 3.0).rename(columns={"age": "size"})
    with open_study(EXPERIMENT, "sizes") as store:
        store.open_parent({"question": "What?"})
        for number in (1, 2):
            shown = part.assign(prediction=part["prediction"] + number)
            params = {
                "model.dropout_rate": f"0.{number}", "target.name": "size", "target.unit": "mm",
                "target.range": "[0.0, 300.0]", "target.bands": "[[0, 99], [100, 300]]",
                "study.objective": "last/val_mae",
            }  # fmt: skip
            add_trial(store, number, params, {"val": shown, "train": shown}, 3, label="size")
    markdown, _ = report("sizes")
    assert "Validation MAE of the last epoch: **4.00 mm**" in markdown
    tables = {file.name: file.read_text() for file in Path("experiments/sizes").glob("tables/*")}
    assert tables["size_bands.csv"].splitlines()[1].startswith('0-99,40,"4.0 [')
    assert tables["trials.csv"].startswith("trial,model.dropout_rate,last/val_mae,")
    words = re.compile(r"\b(ages?|years?)\b", re.IGNORECASE)
    assert not words.search(markdown)
    assert not any(words.search(text) for text in tables.values())


def test_key_missing_in_a_record_has_its_neutral_value() -> None:
    with open_study(EXPERIMENT, "mixed") as store:
        store.open_parent({"question": "What?"})
        part = predictions(40, 3.0)
        for number, later in enumerate(
            ({}, {"model.backbone": "resnet50"}, {"model.backbone": "tiny"})
        ):
            params = {"model.dropout_rate": "0.1", "seed": str(number), **later}
            add_trial(store, number + 1, params, {"val": part, "train": part}, 3)
    study = read_study(EXPERIMENT, "mixed")
    assert study.keys == ("model.backbone",)
    assert study.groups == (0, 0, 1)


def test_recorded_seed_study_needs_nothing_but_a_clone(capsys) -> None:
    markdown, _ = report("seed_recorded")
    table = markdown.partition("## Conclusions")[2].partition("##")[0]
    confounded = {
        "optimizer.learning_rate": "model.hidden_units",
        "data.batch_size": "model.dropout_rate",
        "model.dropout_rate": "data.batch_size",
    }
    for key, other in confounded.items():
        (line,) = [row for row in table.splitlines() if f"{key} is confounded with" in row]
        assert "not resolved" in line
        assert other in line
    assert "Overfitting remains, even in the best trial. | supported" in table
    assert "5.98 [5.74, 6.22]" in markdown
    data = read_study(EXPERIMENT, "seed_recorded")
    assert [len(data.curve(trial)) for trial in data.trials] == [20, 20, 20]
    report("seed_recorded")
    assert len(read_study(EXPERIMENT, "seed_recorded").trials) == 3


def test_a_report_needs_neither_tensorflow_nor_keras() -> None:
    code = (
        "import sys; from src.report import main; main(['seed_recorded']); "
        "print(sorted({'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study=nowhere"], 'no study "nowhere"'),
        (["one", "--claims", "nowhere"], "no such study file"),
        (["one", "--experiment", "nowhere"], 'no experiment "nowhere"'),
    ],
)
def test_mistakes_are_explained(arguments, message) -> None:
    make_study("one", grid()[:1], num_seeds=1)
    with pytest.raises(SystemExit, match=message):
        main(arguments)


def test_epochs_logged_twice_count_once_and_the_later_value(tmp_path: Path) -> None:
    make_study("one", grid()[:2], num_seeds=1, num_epochs=3)
    data = read_study(EXPERIMENT, "one")
    from mlflow.tracking import MlflowClient

    MlflowClient().log_metric(data.trials[0].run_id, "mae/val", 1.25, step=2)
    curves = read_curves("one", data.trials, ["mae/val", "mae/train"])
    assert list(curves["epoch"]) == [1, 2, 3, 1, 2, 3]
    assert curves["mae/val"][1] == 1.25
