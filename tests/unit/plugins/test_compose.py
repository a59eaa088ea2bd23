"""Trees in which values are set, compared with trees that Hydra composes."""

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.errors import HydraException
from hydra.types import RunMode
from hydra_plugins.oracle_sweeper._compose import composer
from hypothesis import given, settings
from hypothesis import strategies as st

from src.cli.command_line import CONF, register_schema
from src.config import to_config
from src.config.overrides import adapt_overrides

FIRST = [
    "data=sample",
    "optimizer.learning_rate=1e-3",
    "model.dropout_rate=0",
    "data.batch_size=16",
]


@pytest.fixture(scope="module")
def loads():
    """A composer, one that has composed nothing, and the overrides that Hydra composed."""
    register_schema()
    loader = ConfigLoaderImpl(create_config_search_path(str(CONF)))
    asked: list[list[str]] = []

    def load(overrides: list[str]):
        asked.append(overrides)
        return loader.load_configuration("config", adapt_overrides(overrides), RunMode.RUN)

    compose = composer(load, loader)
    compose(FIRST)
    return compose, lambda overrides: composer(load, loader)(overrides), asked


@settings(max_examples=30, deadline=None)
@given(
    rate=st.sampled_from(["1e-5", "0.25", "3"]), dropout=st.sampled_from(["0", "0.5", "0.125"]),
    seed=st.integers(0, 9), units=st.sampled_from(["[]", "[4]", "[8,4]"]),
    limit=st.sampled_from(["null", "100"]), decoder=st.sampled_from(["opencv", "pillow"]),
)  # fmt: skip
def test_changed_values_give_hydras_configuration(
    loads, rate, dropout, seed, units, limit, decoder
) -> None:
    compose, from_nothing, asked = loads
    overrides = [
        "data=sample", f"optimizer.learning_rate={rate}", f"model.dropout_rate={dropout}",
        "data.batch_size=16", f"seed={seed}", f"model.hidden_units={units}",
        f"data.limit={limit}", f"data.decoder={decoder}", "study.trial=3", "study.run_id=abc",
    ]  # fmt: skip
    num_asked = len(asked)
    tree = compose(overrides)
    assert len(asked) == num_asked
    assert to_config(tree) == to_config(from_nothing(overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        [*FIRST, "optimizer=sgd"],
        [*FIRST, "augmentation=seed", "data.batch_size=4"],
        [*FIRST, "+scale=small"],
        [*FIRST, "~trial"],
    ],
    ids=" ".join,
)
def test_hydra_composes_once_for_each_choice_of_groups(loads, overrides) -> None:
    compose, from_nothing, asked = loads
    num_asked = len(asked)
    tree = compose(overrides)
    again = compose([*overrides, "seed=7"])
    assert len(asked) == num_asked + 1
    assert to_config(tree) == to_config(from_nothing(overrides))
    assert to_config(again) == to_config(from_nothing([*overrides, "seed=7"]))


def test_key_that_is_left_out_has_its_default(loads) -> None:
    compose, from_nothing, _ = loads
    assert to_config(compose(FIRST[:3])) == to_config(from_nothing(FIRST[:3]))


@pytest.mark.parametrize("mistake", ["model.dropout_rate=high", "model.dropuot_rate=0.1"])
def test_hydra_explains_mistakes(loads, mistake) -> None:
    compose, _, _ = loads
    with pytest.raises(HydraException):
        compose([*FIRST[:2], mistake, FIRST[3]])


def test_one_tree_is_not_the_others(loads) -> None:
    compose, _, _ = loads
    one, other = (compose([*FIRST[:3], f"data.batch_size={size}"]) for size in (4, 5))
    assert (one.data.batch_size, other.data.batch_size) == (4, 5)
    one.model.hidden_units.append(7)
    assert list(other.model.hidden_units) == []
