import dataclasses
import json
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from src.config import Config, flatten
from src.config.schema import Conflict, Decoder, DropoutPosition, InputMode, KeepModel, Loss
from src.core.errors import UsageError
from src.core.names import State
from src.records.trial import TrialRecord
from src.replay import comparison, not_recorded, replay_overrides


def recorded(config: Config) -> dict[str, Any]:
    """As it comes back from the artifact `config.json`."""
    return json.loads(json.dumps(flatten(config)))


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
TEXTS = TEXTS.filter(lambda text: text != "???")  # OmegaConf takes that for a missing value
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


@given(text=TEXTS)
def test_any_text_comes_back_through_the_grammars_of_hydra_and_omegaconf(text: str) -> None:
    (override,) = [o for o in replay_overrides({"data.root": text}, "x", 1, []) if "root" in o]
    value = OverridesParser.create().parse_override(override).value()
    assert OmegaConf.create({"root": value}).root == text


@settings(max_examples=20, deadline=None)  # composing takes 0.2 s
@given(data=st.data())
def test_any_configuration_comes_back_from_its_record(compose_config, folder, data) -> None:
    choices = {group: data.draw(st.sampled_from(names)) for group, names in GROUPS.items()}
    root = [] if choices["data"] == "sample" else ["data.root=."]
    base = compose_config(*(f"{group}={name}" for group, name in choices.items()), *root)
    values = data.draw(st.fixed_dictionaries({}, optional=VALUES))
    if root:
        values["data.root"] = folder
    original = replace(base, values)

    overrides = replay_overrides(recorded(original), "mine", 7, [])
    again = compose_config(*overrides)

    study = dataclasses.replace(base.study, name="mine replayed", trial=7, run_id=None)
    assert again == dataclasses.replace(original, study=study)
    assert type(again.optimizer) is type(original.optimizer)


def test_what_is_typed_wins(compose_config) -> None:
    record = recorded(compose_config("optimizer.learning_rate=1e-2", "data.batch_size=8"))
    typed = ["data.batch_size=4", "study.name=mine", "study.trial=2"]
    again = compose_config(*replay_overrides(record, "seed", 3, typed))
    assert again.data.batch_size == 4
    assert again.optimizer.learning_rate == 1e-2
    assert (again.study.name, again.study.trial) == ("mine", 2)


@pytest.mark.parametrize("flags", [["-m"], ["--cfg", "job"], ["--cfg=job"]])
def test_flags_leave_the_overrides_side_by_side(flags: list[str]) -> None:
    for typed in ([*flags, "seed=5"], ["seed=5", *flags]):
        words = replay_overrides({"seed": 2}, "mine", 3, typed)
        others = [word for word in words if word not in flags]
        assert others == ["seed=2", "study.name='mine replayed'", "study.trial=3",
                          "study.run_id=null", "fit.keep_state=false", "seed=5"]  # fmt: skip
        assert flags in (words[: len(flags)], words[-len(flags) :])


def test_group_that_is_typed_whole_replaces_its_recorded_values(compose_config) -> None:
    record = recorded(compose_config("augmentation=seed", "optimizer.beta_1=0.5", "seed=5"))
    typed = ["augmentation=none", "optimizer=sgd"]
    again = compose_config(*replay_overrides(record, "seed", 3, typed))
    plain = compose_config(*typed)
    assert again.augmentation == plain.augmentation
    assert again.optimizer == plain.optimizer
    assert again.seed == 5


def test_study_that_is_typed_whole_names_the_study(compose_config) -> None:
    again = compose_config(*replay_overrides(recorded(compose_config()), "x", 3, ["study=seed"]))
    assert (again.study.name, again.study.trial) == ("seed", 3)


@pytest.mark.parametrize("typed", ["+trial=3", "+scale=small", "sweep=tiny"])
def test_file_that_the_record_would_cover_is_refused(compose_config, typed: str) -> None:
    with pytest.raises(UsageError, match=r"would cover those of .*Fix: type the keys"):
        replay_overrides(recorded(compose_config()), "seed", 3, [typed])


def test_recorded_key_that_is_unknown_today_is_named(compose_config) -> None:
    record = recorded(compose_config()) | {"augmentation.hue": 0.1, "fit.tpu": True}
    with pytest.raises(UsageError) as refusal:
        replay_overrides(record, "seed", 3, [])
    for text in ("augmentation.hue=0.1", "fit.tpu=True", "augmentation=<name> fit=<name>"):
        assert text in str(refusal.value)
    assert replay_overrides(record, "seed", 3, ["augmentation=none", "fit=default"])


def test_recorded_optimizer_that_is_unknown_today_is_named(compose_config) -> None:
    record = recorded(compose_config()) | {"optimizer.name": "Lion"}
    with pytest.raises(UsageError, match=r"optimizer\.name=Lion.*sgd"):
        replay_overrides(record, "seed", 3, [])
    assert replay_overrides(record, "seed", 3, ["optimizer=adam"])
    assert not not_recorded(record, ["optimizer=adam"])


def test_record_that_lacks_newer_keys_gets_their_values_of_today(compose_config) -> None:
    original = compose_config("optimizer=sgd", "fit.epochs=3", "seed=4")
    record = recorded(original)
    gone = ["fit.fidelity", "pruner.name", "optimizer.nesterov"]
    for key in gone:
        del record[key]
    assert sorted(not_recorded(record, [])) == sorted(gone)
    assert not_recorded(record, ["pruner=asha", "fit.fidelity=2"]) == ["optimizer.nesterov"]
    again = compose_config(*replay_overrides(record, "seed", 3, []))
    assert dataclasses.replace(again, study=original.study) == original


def test_complete_record_lacks_nothing(compose_config) -> None:
    for name in ("adam", "adamw", "sgd"):
        assert not not_recorded(recorded(compose_config(f"optimizer={name}")), [])


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
    assert verdict in comparison(result(), again)


def test_nothing_is_compared_where_one_has_no_result() -> None:
    assert comparison(result(None), result()) == comparison(result(), result(None)) == ""
