import dataclasses

import pytest

from src.core.errors import UsageError


@pytest.mark.parametrize(
    "override",
    [
        "model.dropout_rate=1.0",
        "model.dropout_rate=-0.1",
        "model.dropout_rate=nan",
        "model.batch_norm_momentum=1",
        "model.hidden_units=[0]",
        "model.freeze=conv9_block1",
        "model.weights=missing.weights.h5",
        "optimizer.learning_rate=0",
        "optimizer.learning_rate=nan",
        "optimizer.learning_rate=inf",
        "optimizer.beta_1=1",
        "optimizer.clipnorm=0",
        "optimizer.weight_decay=-1",
        "data.batch_size=0",
        "data.image_size=31",
        "data.limit=1",
        "data.max_bad_fraction=1.5",
        "data.max_pixels=10",
        "data.num_images=0",
        "data.split.val_fraction=0",
        "data.split.val_fraction=1",
        "data.split.test_fraction=0.9",
        "schedule.warmup_epochs=20",
        "schedule.final_fraction=2",
        "augmentation.rotation_degrees=181",
        "augmentation.contrast=1",
        "fit.epochs=0",
        "fit.fidelity=0",
        "fit.fidelity=21",
        "fit.early_stopping_patience=0",
        "fit.eval_batch_size=0",
        "pruner.warmup_epochs=0",
        "pruner.min_trials=0",
        "pruner.reduction_factor=1",
        "seed=-1",
        "study.name=' '",
        "study.name=../x",
        "study.name=/x",
        "data.split.seed=-1",
        "optimizer.name=adam",
        "optimizer.epsilon=0",
        "model.freeze=conv4_block7",
        "model.freeze=conv6",
    ],
)
def test_value_out_of_range_is_refused_with_key_value_and_fix(compose_config, override) -> None:
    key = override.split("=")[0]
    with pytest.raises(UsageError) as refusal:
        compose_config(override)
    message = str(refusal.value)
    assert f"{key}=" in message
    assert "Received:" in message
    assert "Fix:" in message


@pytest.mark.parametrize(
    ("overrides", "fix"),
    [
        (["model.weights=null", "model.freeze=backbone"], "model.freeze=none"),
        (["data=labels_csv"], "data.root=<folder>"),
        (["data.root=."], "data=labels_csv"),
        (["data=labels_csv", "data.root=/does/not/exist"], "data=sample"),
        (["fit.jit_compile=true"], "fit.deterministic=false"),
        (["fit.evaluate_test=true", "data.split.test_fraction=0"], "data.split.test_fraction=0.2"),
        (["data.split.method=official"], "data.split.method=stratified"),
        (["data.split.method=notebook"], "data.split.test_fraction=0"),
    ],
)
def test_values_that_exclude_each_other_are_refused(compose_config, overrides, fix) -> None:
    with pytest.raises(UsageError, match=r"Fix: .*" + fix):
        compose_config(*overrides)


def test_unknown_key_is_refused_with_the_nearest_known_one(compose_config) -> None:
    with pytest.raises(UsageError, match=r"Fix: optimizer\.learning_rate"):
        compose_config("+optimizer.learning_rte=1")
    with pytest.raises(UsageError, match="one of name, learning_rate"):
        compose_config("+optimizer.qqq=1")
    with pytest.raises(UsageError, match="nowhere"):
        compose_config("+nowhere=1")


def test_value_that_cannot_be_found_is_explained(compose_config) -> None:
    with pytest.raises(UsageError, match=r"NOWHERE.*data\.root"):
        compose_config("data=labels_csv", "data.root='${oc.env:NOWHERE}'")


def test_all_mistakes_are_listed_at_once(compose_config) -> None:
    with pytest.raises(UsageError) as refusal:
        compose_config("seed=-1", "fit.epochs=0", "model.dropout_rate=2")
    assert len(str(refusal.value).splitlines()) == 3


@pytest.mark.parametrize(("override", "last"), [("null", 20), ("1", 1), ("20", 20)])
def test_fidelity_says_where_a_trial_ends(compose_config, override: str, last: int) -> None:
    assert compose_config(f"fit.fidelity={override}").fit.last_epoch == last


def test_zero_is_a_seed(compose_config) -> None:
    assert compose_config("seed=0").seed == 0


def test_configuration_is_frozen(compose_config) -> None:
    config = compose_config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.data.batch_size = 1
