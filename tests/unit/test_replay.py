import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.cli.changes import changed
from src.config import Config, Objective, TargetConfig
from src.config.schema import Conflict, Decoder, DropoutPosition, InputMode, Loss
from src.config.study_schema import KeepModel
from src.core.errors import UsageError
from src.core.names import State
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.replay import comparison, replayed


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    """A folder whose name has everything that Hydra and OmegaConf give a meaning to."""
    odd = tmp_path_factory.mktemp("data") / "a, b [c] {d: e} 'f' \"g\" =h \\i ${j} \\${k} ~#*"
    odd.mkdir()
    return str(odd)


def replace(config: Config, values: dict[str, Any]) -> Config:
    """The configuration with other values under dotted keys."""
    for key, value in values.items():
        config = _replace(config, key.split("."), value)
    return config


def _replace(node: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    return dataclasses.replace(
        node, **{name: _replace(getattr(node, name), rest, value) if rest else value}
    )


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(
    ["", " ", "null", "true", "1e-4", "12", "a b", "a,b", "[a]", "'", '"', "\\", "\\'", "${x}",
     "\\${x}", "\\\\${x}\\", "x=y", "key: value", "inf", "a\nb", "choice(1,2)", "$", "{}"]
)  # fmt: skip
FRACTIONS = st.floats(0, 1, exclude_max=True)
POSITIVE = st.floats(0, 1e3, exclude_min=True)
SEEDS = st.integers(0, 2**32 - 1)
BOOLS = st.booleans()


def optional(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | values


VALUES = {
    "data.labels_file": TEXTS,
    "data.image_dir": TEXTS,
    "data.cache_dir": TEXTS,
    "data.columns.file_name": TEXTS,
    "data.columns.split": optional(TEXTS),
    "data.batch_size": st.integers(1, 10**9),
    "data.limit": optional(st.integers(2, 10**9)),
    "data.decoder": st.sampled_from(Decoder),
    "data.conflicting_duplicates": st.sampled_from(Conflict),
    "data.max_bad_fraction": FRACTIONS,
    "data.split.seed": SEEDS,
    "data.split.val_fraction": st.floats(0.01, 0.7),
    "model.weights": st.none(),
    "model.input_mode": st.sampled_from(InputMode),
    "model.freeze_batch_norm": BOOLS,
    "model.batch_norm_momentum": FRACTIONS,
    "model.dropout_rate": FRACTIONS,
    "model.dropout_position": st.sampled_from(DropoutPosition),
    "model.hidden_units": st.lists(st.integers(1, 10**6), max_size=3),
    "model.loss": st.sampled_from(Loss),
    "optimizer.learning_rate": POSITIVE,
    "optimizer.clipnorm": optional(POSITIVE),
    "optimizer.weight_decay": optional(FRACTIONS),
    "schedule.final_fraction": FRACTIONS,
    "augmentation.rotation_degrees": st.floats(0, 180),
    "augmentation.vertical_flip": BOOLS,
    "fit.epochs": st.integers(20, 10**6),
    "fit.fidelity": optional(st.integers(1, 20)),
    "fit.early_stopping_patience": optional(st.integers(1, 99)),
    "fit.resume": BOOLS,
    "fit.evaluate_test": BOOLS,
    "pruner.min_trials": st.integers(1, 99),
    "tracking.experiment": TEXTS,
    "tracking.keep_model": st.sampled_from(KeepModel),
    "seed": SEEDS,
}
GROUPS = {
    "optimizer": ["adam", "adamw", "sgd"],
    "data": ["sample", "labels_csv", "utkface", "appa_real"],
    "augmentation": ["none", "seed"],
    "pruner": ["none", "asha"],
}


@pytest.fixture
def replay(monkeypatch) -> Callable[..., Config]:
    """The configuration of a replay of trial 3 of study `x`, which recorded this one."""

    def replayed_config(recorded: Config, *typed: str) -> Config:
        monkeypatch.setattr("src.tracking.lookup.config_of", lambda trial, study: recorded)
        return replayed(result(number=3), "x", typed)

    return replayed_config


@settings(max_examples=10, deadline=None)  # composing takes 0.2 s
@given(data=st.data())
def test_what_is_not_typed_stays_as_it_was_recorded(compose_config, folder, data) -> None:
    choices = {group: data.draw(st.sampled_from(names)) for group, names in GROUPS.items()}
    root = [] if choices["data"] == "sample" else ["data.root=."]
    base = compose_config(*(f"{group}={name}" for group, name in choices.items()), *root)
    values = data.draw(st.fixed_dictionaries({}, optional=VALUES))
    if root:
        values["data.root"] = folder
    original = replace(base, values)
    again = changed(original, ["schedule.final_fraction=0.5", "augmentation.contrast=0.5"])
    expected = {"schedule.final_fraction": 0.5, "augmentation.contrast": 0.5}
    assert again == replace(original, expected)
    assert type(again.optimizer) is type(original.optimizer)
    assert changed(original, []) == original


def test_replay_has_a_study_of_its_own_and_keeps_no_state(compose_config, replay) -> None:
    recorded = compose_config("study=seed", "study.run_id=r", "fit.keep_state=true", "seed=5")
    again = replay(recorded)
    assert (again.study.name, again.study.trial, again.study.run_id) == ("x replayed", 3, None)
    assert again.study.claims == recorded.study.claims
    assert again.study.question == recorded.study.question
    assert again.fit == dataclasses.replace(recorded.fit, keep_state=False)
    assert again.seed == 5


def test_what_is_typed_wins(compose_config, replay) -> None:
    recorded = compose_config("optimizer.learning_rate=1e-2", "data.batch_size=8")
    again = replay(recorded, "data.batch_size=4", "study.name=mine", "study.trial=2")
    assert again.data.batch_size == 4
    assert again.optimizer.learning_rate == 1e-2
    assert (again.study.name, again.study.trial) == ("mine", 2)


def test_group_that_is_typed_replaces_its_recorded_values_and_keys_win(
    compose_config, replay
) -> None:
    recorded = compose_config("augmentation=seed", "optimizer.beta_1=0.5", "seed=5")
    typed = ["optimizer.momentum=0.5", "augmentation=none", "optimizer=sgd"]
    again, plain = replay(recorded, *typed), compose_config(*typed)
    assert again.augmentation == plain.augmentation
    assert again.optimizer == plain.optimizer
    assert again.seed == 5


def test_values_of_a_group_change_those_values_alone(compose_config, replay) -> None:
    recorded = compose_config("optimizer=sgd", "optimizer.momentum=0.5")
    again = replay(recorded, "optimizer={nesterov: false}", "target={name: size, unit: mm}")
    assert (again.optimizer.momentum, again.optimizer.nesterov) == (0.5, False)
    assert (again.target.name, again.target.unit) == ("size", "mm")
    assert again.target.range == recorded.target.range


@pytest.mark.parametrize(
    ("typed", "name", "num_claims"), [("study=seed", "seed", 4), ("study=12", "12", 0)]
)
def test_study_that_is_typed_names_the_study(
    compose_config, replay, typed: str, name: str, num_claims: int
) -> None:
    again = replay(compose_config(), typed)
    assert (again.study.name, again.study.trial) == (name, 3)
    assert len(again.study.claims) == num_claims


@pytest.mark.parametrize(
    "typed", ["+trial=3", "+scale=small", "sweep=tiny", "seed=1,2", "~data.limit"]
)
def test_other_overrides_are_refused(compose_config, replay, typed: str) -> None:
    with pytest.raises(UsageError, match=r"can be changed by single values and by whole groups"):
        replay(compose_config(), typed)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("model.dropout_rate=2", r"`model\.dropout_rate` must lie in \[0, 1\)"),
        ("model.dropout_rat=0", r"Fix: model\.dropout_rate"),
        ("optimizer.momentum=0", r"`optimizer\.momentum` is not a key"),
        ("augmentation=strong", r"Available options in 'augmentation'"),
        ("nonsense", r"missing EQUAL"),
    ],
)
def test_mistakes_are_explained_as_by_train(compose_config, replay, typed, message) -> None:
    with pytest.raises(UsageError, match=message):
        replay(compose_config(), typed)


def result(error: float | None = 6.5, **changes: Any) -> TrialRecord:
    metrics = {} if error is None else {"best/val_mae": error}
    record = TrialRecord("r", 1, "trial 1", State.COMPLETE, "c", "d", {}, {}, metrics, 1.0, None)
    return dataclasses.replace(record, **changes)


@pytest.mark.parametrize(
    ("again", "verdict"),
    [
        (result(), "replayed 6.5 years: equal, bit for bit."),
        (result(6.500000000000001), "6.500000000000001 years: not equal; `provenance/`"),
        (result(7, configuration_hash="x"), "not equal; neither are the configurations."),
        (result(7, data_digest="x"), "not equal; neither are the faces."),
        (result(7, state=State.PRUNED), "the first is COMPLETE, the second PRUNED."),
    ],
)
def test_results_are_compared_and_a_difference_is_traced(again, verdict: str) -> None:
    assert verdict in comparison(result(), again, Terms())


def test_nothing_is_compared_where_one_has_no_result() -> None:
    assert comparison(result(None), result(), Terms()) == ""
    assert comparison(result(), result(None), Terms()) == ""


def test_comparison_is_of_the_objective_in_the_unit_of_the_target() -> None:
    target = TargetConfig("size", "mm", [0.0, 300.0], [[0, 300]])
    one, other = (
        result(9.0, metrics={"last/val_mae": error, "best/val_mae": 1.0}) for error in (7.0, 8.0)
    )
    line = comparison(one, other, Terms(target, Objective("last/val_mae")))
    assert line.startswith(
        "Validation MAE of the last epoch: recorded 7.0, replayed 8.0 mm: not equal"
    )
