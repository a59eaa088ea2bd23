"""Every file of `conf/` composes, and the seed study's trials are what its table says."""

from pathlib import Path

import pytest

from src.config import TargetConfig
from src.config.schema import DropoutPosition, InputMode, Loss, OutputActivation, SplitMethod

CONF = Path(__file__).parents[2] / "conf"
GROUPS = ("target", "model", "optimizer", "schedule", "augmentation", "fit", "pruner", "study",
          "tracking", "trial", "scale", "sweep")  # fmt: skip
CHOICES = [f"{group}={file.stem}" for group in GROUPS for file in (CONF / group).glob("*.yaml")]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes(compose_config, choice: str) -> None:
    compose_config(f"+{choice}" if choice.startswith(("trial", "scale", "sweep")) else choice)


@pytest.mark.parametrize("layout", ["labels_csv", "utkface", "appa_real"])
def test_every_layout_composes(compose_config, tmp_path, layout: str) -> None:
    assert str(compose_config(f"data={layout}", f"data.root={tmp_path}").data.layout) == layout


@pytest.mark.parametrize("file", sorted(CONF.rglob("*.yaml")), ids=lambda f: f.stem)
def test_every_file_opens_with_purpose_command_time_and_what_it_showed(file: Path) -> None:
    lines = file.read_text().splitlines()
    head = [line for line in lines if not line.startswith("# @package")]
    comment = "\n".join(head[: next(i for i, line in enumerate(head) if line[:1] != "#")])
    assert "python -m src.train" in comment
    assert "Time:" in comment
    assert "Last shown:" in comment


@pytest.mark.parametrize(
    ("trial", "learning_rate", "batch_size", "dropout_rate", "hidden_units", "augmented"),
    [(1, 1e-4, 16, 0.0, [], True), (2, 1e-5, 16, 0.0, [48], True), (3, 3e-4, 32, 0.2, [], False)],
)
def test_seed_trials_are_what_the_study_ran(
    compose_config, trial, learning_rate, batch_size, dropout_rate, hidden_units, augmented
) -> None:
    config = compose_config(f"+trial={trial}")
    assert config.study.trial == trial
    assert config.optimizer.name == "Adam"
    assert config.optimizer.learning_rate == learning_rate
    assert config.data.batch_size == batch_size
    assert config.model.dropout_rate == dropout_rate
    assert config.model.dropout_position is DropoutPosition.before_pooling
    assert config.model.hidden_units == hidden_units
    assert config.augmentation.rotation_degrees == (90 if augmented else 0)
    assert config.augmentation.horizontal_flip is config.augmentation.vertical_flip is augmented
    assert config.model.weights == "imagenet"
    assert config.model.input_mode is InputMode.unit
    assert config.model.output_activation is OutputActivation.relu
    assert config.model.loss is Loss.mse
    assert config.data.image_size == 224
    assert config.fit.epochs == 20
    assert config.data.split.method is SplitMethod.notebook
    assert config.data.split.val_fraction == 0.25


STUDIES = sorted(file.stem for file in (CONF / "study").glob("*.yaml"))
SWEEPS = sorted(file.stem for file in (CONF / "sweep").glob("*.yaml"))


@pytest.mark.parametrize("name", STUDIES)
def test_file_of_a_study_gives_its_own_name(compose_config, name: str) -> None:
    assert compose_config(f"study={name}").study.name == name
    assert f"name: {name}\n" in (CONF / f"study/{name}.yaml").read_text()


@pytest.mark.parametrize("sweep", SWEEPS)
def test_sweep_names_its_study_and_the_command_line_wins(compose_config, sweep: str) -> None:
    own = compose_config(f"+sweep={sweep}").study
    assert own.name == sweep
    assert own.question != compose_config().study.question
    seed = compose_config("study=seed").study
    assert compose_config(f"+sweep={sweep}", "study=seed").study == seed
    for typed in ("study=mine", "study.name=mine"):
        mine = compose_config(f"+sweep={sweep}", typed).study
        assert (mine.name, mine.question) == ("mine", own.question)


def test_name_of_a_study_that_looks_like_a_number_stays_a_text(compose_config) -> None:
    for name in ("12", "1e3", "0.50"):
        assert compose_config(f"study={name}").study.name == name
        assert compose_config(f"study.name={name}").study.name == name


def test_target_may_be_typed_as_a_whole(compose_config) -> None:
    typed = "target={name: size, unit: mm, range: [0, 300], bands: [[0,99],[100,300]]}"
    config = compose_config(typed)
    assert config.target == TargetConfig("size", "mm", [0.0, 300.0], [[0, 99], [100, 300]])
    assert config.tracking.experiment == "face-size"
    assert compose_config("target=age").tracking.experiment == "face-age"


def test_command_line_beats_trial_and_trial_beats_defaults(compose_config) -> None:
    assert compose_config().data.batch_size == 32
    assert compose_config("+trial=1").data.batch_size == 16
    assert compose_config("+trial=1", "data.batch_size=8").data.batch_size == 8
    assert compose_config("data.batch_size=8", "+trial=1").data.batch_size == 8
    assert compose_config("+trial=1", "augmentation=none").augmentation.rotation_degrees == 0
    assert compose_config("optimizer=sgd", "+trial=1").optimizer.name == "SGD"


def test_scale_beats_trial_in_any_order(compose_config) -> None:
    orders = (["+trial=3", "+scale=small"], ["+scale=small", "+trial=3"])
    one, other = (compose_config(*order) for order in orders)
    assert one == other
    assert one.data.image_size == 32
    assert one.optimizer.learning_rate == 3e-4
