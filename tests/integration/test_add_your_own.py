"""Each row of "Add your own" in README.md, performed in a copy of the project."""

import csv
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow

FILES = {
    "conf/sweep/own.yaml": """
# @package _global_
defaults:
  - override /study: own
  - override /augmentation: own
  - override /schedule: own
  - override /optimizer: lion
  - override /pruner: own
  - _self_
hydra:
  sweeper:
    oracle: backwards
    params:
      data.invert: choice(false, true)
""",
    "conf/trial/own.yaml": """
# @package _global_
optimizer:
  learning_rate: 0.0123
study:
  trial: 4
""",
    "conf/study/own.yaml": """
defaults: [adhoc, _self_]
name: own
question: "Do inverted pictures matter?"
claims:
  - {says: "The error is above 1 mm.", raising: null, moves: val_mae, direction: up, at_least: 1.0}
""",
    "conf/target/size.yaml": """
name: size
unit: mm
range: [0, 300]
bands: [[0, 30], [31, 300]]
""",
    "conf/augmentation/own.yaml": """
horizontal_flip: false
vertical_flip: true
rotation_degrees: 0
shift_fraction: 0
zoom_fraction: 0
brightness: 0.25
contrast: 0
cached_views: null
""",
    "conf/schedule/own.yaml": """
warmup_epochs: 0.5
final_fraction: 0.25
""",
    "conf/optimizer/lion.yaml": """
defaults: [lion_schema, _self_]
name: Lion
learning_rate: 1.0e-3
clipnorm: null
beta_1: 0.9
beta_2: 0.99
weight_decay: null
""",
    "conf/data/folders.yaml": """
defaults: [base, _self_]
layout: folders
""",
    "conf/pruner/own.yaml": """
name: first_only
warmup_epochs: 1
min_trials: 1
reduction_factor: 2
""",
    "src/search/families/backwards.py": '''
"""A search that runs the choices of the first key from the last to the first."""

from src.search.search import Search, Suggestion


class BackwardsSearch(Search):
    """Choices of the first key, the last one first."""

    name = "backwards"
    is_listed = True
    takes_intervals = False

    def __init__(self, settings, space, max_epochs):
        texts = reversed(space[0].domain.texts)
        self._left = [Suggestion(i, {space[0].key: text}) for i, text in enumerate(texts)]

    def ask(self):
        return self._left.pop(0) if self._left else None
''',
}
"""Files that are added."""

EDITS = {
    "src/config/schema.py": [
        ("    sample = auto()\n", "    sample = auto()\n    folders = auto()\n"),
        ("    tiny = auto()\n", "    tiny = auto()\n    flat = auto()\n"),
        (
            "    cache_dir: str = field(",
            "    invert: bool = field(metadata=key(PIXELS, neutral=False))\n"
            "    cache_dir: str = field(",
        ),
        (
            "@dataclass(frozen=True)\nclass ScheduleConfig:",
            '''@dataclass(frozen=True)
class LionConfig(OptimizerConfig):
    """Arguments of `keras.optimizers.Lion`."""

    beta_1: float = field(metadata=key(STEP, between(0, 1, 0.9)))
    beta_2: float = field(metadata=key(STEP, between(0, 1, 0.99)))
    weight_decay: float | None = field(metadata=key(STEP, _DECAY))


@dataclass(frozen=True)
class ScheduleConfig:''',
        ),
    ],
    "src/config/study_schema.py": [
        ("    asha = auto()\n", "    asha = auto()\n    first_only = auto()\n"),
    ],
    "conf/data/base.yaml": [("cache_dir: .cache", "invert: false\ncache_dir: .cache")],
    "src/data/table.py": [
        (
            "        case Layout.utkface:\n",
            """        case Layout.folders:
            rows = [(file.relative_to(root).as_posix(), file.parent.name, "", "")
                    for file in sorted(root.rglob("*.png"))]
        case Layout.utkface:
""",
        )
    ],
    "src/data/decoding.py": [
        (
            "def decode(content: bytes, data: DataConfig) -> np.ndarray:\n",
            '''def decode(content: bytes, data: DataConfig) -> np.ndarray:
    """Decodes a picture, and inverts it if that is configured."""
    pixels = _decode(content, data)
    return 255 - pixels if data.invert else pixels


def _decode(content: bytes, data: DataConfig) -> np.ndarray:
''',
        )
    ],
    "src/config/backbones.py": [
        ("BACKBONES = {\n", "BACKBONES = {\n    Backbone.flat: BackboneFacts({}, False),\n")
    ],
    "src/model/backbone.py": [
        (
            "        case Backbone.tiny:\n",
            """        case Backbone.flat:
            pictures = keras.Input(shape)
            layer = keras.layers.Conv2D(4, 8, strides=8, name="conv1_conv")
            return keras.Model(pictures, layer(pictures), name=str(backbone))
        case Backbone.tiny:
""",
        )
    ],
    "src/core/metrics.py": [
        ('        "bias": ', '        "worst": float(absolute.max()),\n        "bias": ')
    ],
    "src/training/pruning.py": [
        (
            "    return pruner.name is PrunerName.median or (\n",
            "    return pruner.name in (PrunerName.median, PrunerName.first_only) or (\n",
        ),
        (
            "    verdict = rule(pruner, best, peers)\n",
            """    if pruner.name is PrunerName.first_only:
        return "another trial was first" if peers else ""
    verdict = rule(pruner, best, peers)
""",
        ),
    ],
    "src/analysis/document.py": [
        (
            "        leaderboard_section(study, board),\n",
            "        leaderboard_section(study, board),\n        own_section(study),\n",
        ),
        (
            "def study_document(",
            '''def own_section(study: StudyData) -> "Section":
    """Returns a section of one sentence."""
    from src.pages.blocks import Section, Text

    return Section("Own section", [Text(f"{len(study.trials)} trials were counted.")])


def study_document(''',
        ),
    ],
}
"""Edits of files: each text is replaced once."""

OWN = ["target=size", "data=folders", "data.root=faces", "data.image_size=32", "data.batch_size=8",
       "model.backbone=flat", "model.weights=null", "fit.epochs=2", "tracking.system_metrics=false",
       "tracking.keep_model=none"]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project in which every row has been performed, with 60 faces."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        assert not (folder / name).exists(), name
        (folder / name).write_text(text.lstrip())
    for name, edits in EDITS.items():
        text = (folder / name).read_text()
        for old, new in edits:
            assert text.count(old) == 1, f"{name}: {old}"
            text = text.replace(old, new)
        (folder / name).write_text(text)
    draw = np.random.default_rng(0)
    for number in range(60):
        size = 10 + number % 50
        (folder / f"faces/{size}").mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 4 * size, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"faces/{size}/{number}.png")
    return folder


@pytest.fixture(scope="module")
def run(project) -> Callable[..., str]:
    """Run Python in the copy; what it printed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}

    def done(*arguments: str) -> str:
        finished = subprocess.run(
            [sys.executable, *arguments], cwd=project, env=kept | {"PYTHONPATH": str(project)},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    return done


@pytest.fixture(scope="module")
def report(project, run) -> str:
    """The report of a sweep that uses all that was added."""
    run("-m", "src.train", "-m", "+sweep=own", *OWN, "hydra.launcher.n_jobs=1")
    run("-m", "src.report", "own")
    return (project / "experiments/own/README.md").read_text()


@pytest.fixture(scope="module")
def trials(project, report) -> list[dict[str, str]]:
    """The rows of the table of trials."""
    with (project / "experiments/own/tables/trials.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def record(project, report, trials) -> Mapping[str, Any]:
    """The configuration that the first trial recorded."""
    run_id = trials[0]["run_id"]
    values: dict[str, Any] = json.loads(
        (project / f"mlruns/artifacts/{run_id}/artifacts/config.json").read_text()
    )
    return values


def test_sweep_runs_its_keys_with_its_search(trials) -> None:
    assert [row["data.invert"] for row in trials] == ["True", "False"]  # backwards


def test_trial_sets_its_values(run) -> None:
    shown = run("-m", "src.train", "+trial=own", "--cfg", "job")
    assert "learning_rate: 0.0123" in shown
    assert "trial: 4" in shown


def test_study_gives_its_question_and_its_claims(report, record) -> None:
    assert record["study.name"] == "own"
    assert "Do inverted pictures matter?" in report
    (row,) = [line for line in report.splitlines() if "| The error is above 1 mm." in line]
    assert any(answer in row for answer in ("supported", "not resolved", "contradicted"))


def test_target_gives_the_words_of_pages_and_tables(project, report, record) -> None:
    assert (record["target.name"], record["target.unit"]) == ("size", "mm")
    assert record["tracking.experiment"] == "face-size"
    assert " mm" in report
    assert "years" not in report
    assert list(project.glob("mlruns/artifacts/*/artifacts/metrics/val_by_size_band.csv"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("augmentation.brightness", 0.25),
        ("augmentation.vertical_flip", True),
        ("schedule.warmup_epochs", 0.5),
        ("schedule.final_fraction", 0.25),
        ("optimizer.name", "Lion"),
        ("optimizer.beta_2", 0.99),
        ("data.layout", "folders"),
        ("model.backbone", "flat"),
    ],
)
def test_files_of_groups_classes_layout_and_backbone_reach_the_trial(record, key, value) -> None:
    assert record[key] == value


def test_layout_lists_its_faces(record, project) -> None:
    (audit, *_) = project.glob("mlruns/artifacts/*/artifacts/audit.csv")
    assert "corrupt" not in audit.read_text()


def test_metric_is_in_the_trials_metrics_and_in_tables(project, trials) -> None:
    assert float(trials[0]["val/worst"]) > 0
    (bands, *_) = project.glob("mlruns/artifacts/*/artifacts/metrics/val_by_size_band.csv")
    assert "worst" in bands.read_text().splitlines()[0]


def test_section_is_on_the_page(report) -> None:
    assert "## Own section\n\n2 trials were counted." in report


def test_pruner_ends_all_trials_but_the_first(trials) -> None:
    assert [row["state"] for row in trials] == ["COMPLETE", "PRUNED"]


def test_preprocessing_gives_other_numbers_and_another_cache(project, trials) -> None:
    assert trials[0]["best/val_mae"] != trials[1]["best/val_mae"]
    assert len(list(project.glob(".cache/pictures/*.npy"))) == 2


def test_neutral_value_of_a_new_key_leaves_all_recorded_hashes(run, project) -> None:
    with tarfile.open(ROOT / "tests/data/stored_study.tar.gz") as archive:
        archive.extractall(project / "stored", filter="data")
    shown = run("-c", _HASHES)
    assert shown.split() == ["14", "hashes", "as", "recorded"]


_HASHES = """
import json, sqlite3
from dataclasses import replace
from pathlib import Path
from src.config import activation_values, configuration_hash, unflatten
from src.config.identity import cost_shape, pixel_values

store = sqlite3.connect("stored/mlflow.db")
recorded = dict(store.execute("SELECT run_uuid, value FROM tags WHERE key = 'configuration_hash'"))
files = list(Path("stored").glob("mlruns/artifacts/*/artifacts/config.json"))
for file in files:
    config = unflatten(json.loads(file.read_text()))
    other = replace(config, data=replace(config.data, invert=True))
    assert configuration_hash(config) == recorded[file.parents[1].name] != configuration_hash(other)
    assert pixel_values(config.data) != pixel_values(other.data)
    assert activation_values(config, False) != activation_values(other, False)
    assert cost_shape(config) != cost_shape(other)
print(len(files), "hashes as recorded")
"""
