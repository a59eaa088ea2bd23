import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.config import (
    affects_numbers,
    complete,
    configuration_hash,
    flatten,
    identity,
    program,
    stack_group,
    stack_key,
    unflatten,
)
from src.config.identity import cost_shape, declarations
from src.config.keys import REQUIRED, Affects
from src.core.errors import UsageError

FROZEN = ("model.freeze=backbone", "augmentation=none")


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["optimizer=adamw", "schedule=warmup_cosine"],
        ["optimizer=sgd", "study=seed", "model.hidden_units=[48,8]"],
        ["+trial=3", "pruner=asha", "fit.fidelity=3"],
        ["data.limit=100", "study.objective=last/val_mae", "model.weights=null"],
    ],
)
def test_a_record_gives_its_configuration_back(compose_config, overrides) -> None:
    config = compose_config(*overrides)
    record = json.loads(json.dumps(flatten(config)))
    assert unflatten(record) == config
    assert flatten(unflatten(record)) == flatten(config)


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet="$\\{}:.,a '", max_size=8))
def test_texts_of_a_record_are_no_interpolations(compose_config, text: str) -> None:
    record = flatten(compose_config("study=seed"))
    claim = {**record["study.claims"][0], "says": text}
    config = unflatten({**record, "data.cache_dir": text, "study.claims": [claim]})
    assert config.data.cache_dir == config.study.claims[0].says == text


def test_a_key_that_a_record_lacks_has_its_neutral_value(compose_config) -> None:
    config = compose_config()
    later = {key: its.neutral for key, its in declarations("Adam").items()
             if its.neutral is not REQUIRED}  # fmt: skip
    assert {"target.name", "model.backbone", "study.objective", "tracking.figures"} <= set(later)
    record = {key: value for key, value in flatten(config).items() if key not in later}
    assert unflatten(record) == config
    assert complete(record).keys() == flatten(config).keys()
    assert configuration_hash(unflatten(record)) == configuration_hash(config)
    assert not set(later) & set(identity(config))


def test_a_later_key_enters_the_hash_away_from_its_neutral_value(compose_config) -> None:
    last = compose_config("study.objective=last/val_mae")
    assert identity(last)["study.objective"] == "last/val_mae"
    assert configuration_hash(last) != configuration_hash(compose_config())


def test_records_of_other_code_are_refused_with_the_keys(compose_config) -> None:
    record = flatten(compose_config())
    with pytest.raises(UsageError, match=r"data\.colour=1"):
        unflatten({**record, "data.colour": 1})
    with pytest.raises(UsageError, match=r"missing keys data\.limit"):
        unflatten({key: value for key, value in record.items() if key != "data.limit"})
    with pytest.raises(UsageError, match=r"optimizer\.name=Lion.*adamw"):
        unflatten({**record, "optimizer.name": "Lion"})


def test_unknown_keys_may_change_numbers_and_names_do_not() -> None:
    assert affects_numbers("optimizer.momentum")
    assert affects_numbers("model.removed_long_ago")
    assert not affects_numbers("study.name")
    assert not affects_numbers("fit.eval_batch_size")


@pytest.mark.parametrize(
    ("override", "is_shared"),
    [("optimizer.learning_rate=1", True), ("model.dropout_rate=0.5", True), ("seed=3", True),
     ("data.batch_size=7", True), ("fit.epochs=3", True), ("data.decoder=pillow", True),
     ("schedule.final_fraction=0.5", True), ("data.image_size=64", False),
     ("optimizer.beta_1=0.5", False), ("model.loss=mse", False), ("fit.eval_batch_size=8", False),
     ("model.input_mode=unit", False)],
)  # fmt: skip
def test_trials_share_a_program_unless_its_trace_differs(
    compose_config, override: str, is_shared: bool
) -> None:
    varies = "schedule.final_fraction=0.9"
    same = program(compose_config(varies)) == program(compose_config(varies, override))
    assert same is is_shared


@pytest.mark.parametrize(
    ("override", "is_shared"),
    [("optimizer.learning_rate=1", True), ("seed=3", True), ("augmentation.contrast=0.2", False),
     ("augmentation.rotation_degrees=30", True), ("fit.epochs=3", True),
     ("model.loss=mse", False), ("data.batch_size=8", False), ("data.limit=9", False),
     ("model.batch_norm_momentum=0.5", False), ("data.decoder=pillow", False)],
)  # fmt: skip
def test_what_changes_the_cost_of_a_step_is_another_shape(
    compose_config, override: str, is_shared: bool
) -> None:
    base = ["augmentation.rotation_degrees=10"]
    same = cost_shape(compose_config(*base)) == cost_shape(compose_config(*base, override))
    assert same is is_shared


def test_heads_share_a_group_by_all_that_comes_before_them(compose_config) -> None:
    group = stack_group(compose_config(*FROZEN))
    for override in ("model.hidden_units=[4]", "optimizer=sgd", "data.batch_size=4", "seed=2"):
        assert stack_group(compose_config(*FROZEN, override)) == group
    for override in ("data.image_size=64", "model.input_mode=unit", "fit.epochs=3", "data.limit=9"):
        assert stack_group(compose_config(*FROZEN, override)) != group
    assert stack_group(compose_config("augmentation=none")) is None


def test_heads_share_a_stack_unless_something_is_on_in_one_of_them_alone(compose_config) -> None:
    key = stack_key(compose_config(*FROZEN, "model.dropout_rate=0.2"))
    for override in ("optimizer.learning_rate=1", "model.dropout_rate=0.5", "seed=2",
                     "optimizer.epsilon=0.1"):  # fmt: skip
        assert stack_key(compose_config(*FROZEN, "model.dropout_rate=0.2", override)) == key
    for override in ("model.dropout_rate=0", "optimizer.weight_decay=0.1", "model.loss=mse"):
        assert stack_key(compose_config(*FROZEN, "model.dropout_rate=0.2", override)) != key


def test_effects_are_explained_once_each() -> None:
    table = (Affects.__doc__ or "").split("Two further members")
    explained = [line.split("|")[1].strip() for line in table[0].splitlines() if "| " in line][1:]
    modifiers = {"LIVE", "PER_HEAD"}
    assert sorted([*explained, *modifiers]) == sorted([e.name or "" for e in Affects] + ["NOTHING"])
    assert all(f"{name}:" in table[1] for name in modifiers)


def test_configurations_are_equal_by_value(compose_config) -> None:
    config = compose_config()
    assert dataclasses.replace(config) == config
