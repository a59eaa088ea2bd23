"""Command lines and files of `conf/sweep/`, read as a space."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra_plugins.oracle_sweeper._command import Command, read
from hydra_plugins.oracle_sweeper.sweeper import OracleSweeper
from hydra_plugins.process_launcher.launcher import ProcessLauncher

from src.cli.command_line import register_schema
from src.core.errors import UsageError
from src.search.settings import SweepSettings, check_settings
from src.search.space import Choices, Condition, Interval

CONF = Path(__file__).parents[3] / "conf"


class Groups:
    """Fake of Hydra's config loader: one group with three files."""

    def get_group_options(self, group: str, results_filter: Any = None) -> list[str]:
        return ["flip", "none", "standard"] if group == "augmentation" else []


def typed(*arguments: str, **params: Any) -> Command:
    return read({key.replace("__", "."): v for key, v in params.items()}, arguments, Groups())


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("16,32", Choices(("16", "32"))),
        ("choice(16,32)", Choices(("16", "32"))),
        ("range(1,4)", Choices(("1", "2", "3"))),
        ("choice([],[48])", Choices(("[]", "[48]"))),
        ("null,64", Choices(("null", "64"))),
        ("interval(0,0.5)", Interval(0, 0.5, False, False)),
        ("tag(log,interval(1e-5,1e-3))", Interval(1e-5, 1e-3, True, False)),
        ("int(interval(16,256))", Interval(16, 256, False, True)),
        ("tag(log,int(interval(16,256)))", Interval(16, 256, True, True)),
    ],
)
def test_hydras_grammar_is_read(text: str, domain: Choices | Interval) -> None:
    command = typed(f"some.key={text}")
    assert [h.domain for h in command.space] == [domain]


def test_files_of_a_group_can_be_swept() -> None:
    assert typed("augmentation=glob(*)").space[0].domain == Choices(("flip", "none", "standard"))


def test_list_in_yaml_is_a_choice() -> None:
    assert typed(data__batch_size=[16, 32]).space[0].domain == Choices(("16", "32"))


def test_condition_is_read_from_a_tag() -> None:
    command = typed("a=1,2,3", "b=tag('a=1,2',choice(x,y))")
    assert command.space[1].condition == Condition("a", ("1", "2"))
    both = typed("a=1,2", "b=tag(log,'a=1',interval(1,2))").space[1]
    assert both.condition == Condition("a", ("1",))
    assert both.domain == Interval(1, 2, True, False)


def test_command_line_has_precedence_over_the_sweep_file() -> None:
    command = typed("data.batch_size=64", data__batch_size="choice(16,32)", seed="choice(0,1)")
    assert [h.key for h in command.space] == ["seed"]
    assert command.overrides({"seed": "1"}) == ["data.batch_size=64", "seed=1"]


def test_condition_on_a_key_that_is_fixed_holds_or_does_not() -> None:
    child = "tag('optimizer=sgd',choice(0.8,0.9))"
    held = typed("optimizer=sgd", f"optimizer.momentum={child}")
    assert [(h.key, h.condition) for h in held.space] == [("optimizer.momentum", None)]
    dropped = typed("optimizer=adam", f"optimizer.momentum={child}")
    assert dropped.space == ()
    assert dropped.overrides({}) == ["optimizer=adam"]


def test_typed_list_narrows_the_conditions_of_a_sweep_file() -> None:
    params = {"rate": "choice(0,1,2)", "place": "tag('rate=1,2',choice(x,y))",
              "side": "tag('place=x',choice(l,r))"}  # fmt: skip
    narrowed = typed("rate=0,1", **params)
    assert [h.condition for h in narrowed.space] == [
        None, Condition("rate", ("1",)), Condition("place", ("x",)),
    ]  # fmt: skip
    assert [h.key for h in typed("rate=0", **params).space] == []
    assert [h.key for h in typed("place=x", **params).space] == ["rate", "side"]
    assert [h.key for h in typed("place=y", **params).space] == ["rate"]
    with pytest.raises(UsageError, match="Fix: one of 0, 1"):
        typed("rate=0,1", "place=tag('rate=2',choice(x,y))")


def test_null_in_a_yaml_list_is_null() -> None:
    assert typed(model__weights=[None, "imagenet"]).space[0].domain == (
        Choices(("null", "imagenet"))
    )
    assert typed(model__weights=[None]).overrides({}) == ["model.weights=null"]
    widths = typed(model__hidden_units=[[], [48, 16]]).space[0].domain
    assert widths == Choices(("[]", "[48,16]"))


def test_numbers_of_trials_are_quoted_for_hydra() -> None:
    command = typed("trial='1','3'")
    assert command.overrides({"trial": "'3'"}) == ["trial='3'"]
    assert typed(trial="choice(1,3)").overrides({"trial": "3"}) == ["trial='3'"]


@pytest.fixture
def settings_of() -> Callable[[str], tuple[SweepSettings, Command]]:
    """The settings and the space of a shipped sweep."""
    register_schema()

    def found(name: str) -> tuple[SweepSettings, Command]:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            tree = compose("config", overrides=[f"sweep={name}"], return_hydra_config=True)
            HydraConfig.instance().set_config(tree)
        settings = OracleSweeper(
            **{key: value for key, value in tree.hydra.sweeper.items() if key != "_target_"}
        ).settings
        return settings, read(settings.params, [f"sweep={name}"], Groups())

    return found


@pytest.mark.parametrize(
    ("name", "oracle", "num_keys"),
    [
        ("small", "grid", 3), ("lr_batch_dropout", "grid", 3), ("learning_rate", "grid", 1),
        ("dropout", "grid", 2), ("bayesian", "bayesian", 4), ("hyperband", "hyperband", 4),
    ],
)  # fmt: skip
def test_shipped_sweeps_can_be_launched(settings_of, name: str, oracle: str, num_keys: int) -> None:
    settings, command = settings_of(name)
    check_settings(settings, command.space)
    assert settings.oracle == oracle
    assert len(command.space) == num_keys
    assert command.overrides({}) == [f"sweep={name}"]


def test_seed_studys_grid_has_the_values_of_its_question(settings_of) -> None:
    settings, command = settings_of("lr_batch_dropout")
    values = {h.key: h.domain.numbers for h in command.space}
    assert values == {
        "optimizer.learning_rate": (1e-5, 1e-4, 3e-4),
        "data.batch_size": (16, 32),
        "model.dropout_rate": (0, 0.2),
    }
    assert settings.replicates >= 3


@pytest.mark.parametrize(("jobs", "cores"), [(0, None), (-1, None), (1, 0)])
def test_launcher_needs_a_job_and_a_core(jobs: int, cores: int | None) -> None:
    launcher = ProcessLauncher(n_jobs=jobs, cores_per_job=cores)
    with pytest.raises(UsageError, match="must be >= 1"):
        launcher.setup(hydra_context=None, task_function=None, config=None)


@pytest.mark.parametrize("text", ["tag(lin,interval(0,1))", "tag('=',choice(1,2))", "glob(x*)"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Fix: "):
        typed(f"augmentation={text}")


def test_values_of_a_list_are_added_to_the_fixed_overrides() -> None:
    command = typed("fit.epochs=2")
    assert command.overrides({"seed": "3", "model.dropout_rate": "0.1"}) == [
        "fit.epochs=2", "seed=3", "model.dropout_rate=0.1",
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"Received: fit\.epochs=2\. Fix: leave it out"):
        command.overrides({"fit.epochs": "3"})
