import keras
import numpy as np
import pytest

from src.config.backbones import BACKBONES
from src.config.schema import Backbone, Config
from src.core.errors import MissingFileError, UsageError
from src.model.backbone import build_backbone
from src.model.initial import initialise
from src.model.regressor import (
    IMAGENET_MEAN_BGR,
    build_regressor,
    divide,
    inference_model,
)

pytestmark = pytest.mark.slow
SIZE = 32


@pytest.fixture
def build(compose_config):
    def built(*overrides: str, mean_label: float = 31.0) -> keras.Model:
        config: Config = compose_config("model.weights=null", *overrides)
        regressor = build_regressor(config.model, SIZE, config.target)
        initialise(regressor, config.model, mean_label, config.seed)
        return regressor

    return built


def pictures(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)


def layer_names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers]


def test_plain_uint8_pictures_give_ages_around_the_training_mean(build) -> None:
    ages = build(mean_label=31.0).predict_on_batch(pictures())
    assert ages.shape == (2, 1)
    assert ages.dtype == np.float32
    assert np.abs(ages - 31).max() < 25


def test_imagenet_input_is_what_keras_applications_feeds(build) -> None:
    regressor = build("model.input_mode=imagenet")
    fed = keras.Model(regressor.inputs, regressor.get_layer("imagenet").output)
    expected = keras.applications.resnet.preprocess_input(pictures().astype(np.float32))
    assert np.allclose(fed.predict_on_batch(pictures()), expected, atol=1e-4)
    assert IMAGENET_MEAN_BGR[0] < IMAGENET_MEAN_BGR[2]


def test_unit_input_is_the_seed_studys(build) -> None:
    regressor = build("model.input_mode=unit")
    fed = keras.Model(regressor.inputs, regressor.get_layer("unit").output)
    assert np.allclose(fed.predict_on_batch(pictures()), pictures() / 255, atol=1e-6)


def test_dropout_has_the_configured_position(build) -> None:
    before = layer_names(build("model.dropout_position=before_pooling", "model.dropout_rate=0.2"))
    after = layer_names(build("model.dropout_position=after_pooling", "model.dropout_rate=0.2"))
    assert before.index("dropout") < before.index("pooling")
    assert after.index("dropout") > after.index("pooling")


def test_hidden_layers_and_output_follow_the_configuration(build) -> None:
    regressor = build("model.hidden_units=[48,8]", "model.output_activation=relu")
    assert regressor.get_layer("hidden_1").units == 48
    assert regressor.get_layer("hidden_2").units == 8
    assert regressor.get_layer("age_years").activation is keras.activations.relu
    assert regressor.get_layer("age_years").bias.numpy() == pytest.approx(31.0)


def trainable(regressor: keras.Model) -> set[str]:
    backbone = regressor.get_layer("resnet50")
    return {layer.name for layer in backbone.layers if layer.trainable and layer.weights}


def test_freezing_reaches_the_configured_stage(tmp_path, build) -> None:
    path = tmp_path / "backbone.weights.h5"
    build_backbone(Backbone.resnet50, SIZE).save_weights(path)
    weights = f"model.weights={path}"
    whole = trainable(build(weights))
    stages = {name.split("_")[0] for name in trainable(build(weights, "model.freeze=conv4"))}
    assert stages == {"conv5"}
    until_block = trainable(build(weights, "model.freeze=conv4_block5"))
    assert {name for name in whole if name.startswith(("conv4_block6", "conv5"))} == until_block
    no_batch_norm = trainable(build(weights, "model.freeze_batch_norm=true"))
    assert no_batch_norm == {name for name in whole if not name.endswith("_bn")}
    frozen = build(weights, "model.freeze=backbone")
    assert [v.path.split("/")[0] for v in frozen.trainable_variables] == ["age_years"] * 2
    stem = {"conv1_conv", "conv1_bn"}
    assert trainable(build(weights, "model.freeze=conv1")) == whole - stem


@pytest.mark.parametrize("backbone", Backbone)
def test_every_block_that_may_be_named_exists(backbone: Backbone) -> None:
    names = [layer.name for layer in build_backbone(backbone, SIZE).layers]
    for block in set(BACKBONES[backbone].freezable) - {"none", "backbone"}:
        assert any(name.startswith(f"{block}_") for name in names), block


@pytest.mark.parametrize("freeze", ["conv1", "conv2", "conv3", "backbone"])
def test_parts_of_a_divided_regressor_predict_as_the_whole(
    compose_config, tmp_path, freeze: str
) -> None:
    path = tmp_path / "w.weights.h5"
    build_backbone(Backbone.tiny, SIZE).save_weights(path)
    config = compose_config(
        "model.backbone=tiny", f"model.weights={path}", f"model.freeze={freeze}"
    )
    regressor = build_regressor(config.model, SIZE, config.target)
    frozen, learner = divide(regressor, config.model)
    assert frozen is not None
    parts = learner.predict_on_batch(frozen.predict_on_batch(pictures()))
    assert np.allclose(parts, regressor.predict_on_batch(pictures()), atol=1e-4)


def test_weights_come_from_a_file_of_weights_or_of_a_regressor(tmp_path, build) -> None:
    keras.utils.set_random_seed(5)
    source = build_backbone(Backbone.resnet50, SIZE)
    path = tmp_path / "backbone.weights.h5"
    source.save_weights(path)
    regressor = build(f"model.weights={path}", "model.hidden_units=[4]")
    regressor_path = tmp_path / "regressor.keras"
    inference_model(regressor).save(regressor_path)
    again = build(f"model.weights={regressor_path}")
    for model in (regressor, again):
        pairs = zip(source.weights, model.get_layer("resnet50").weights, strict=True)
        assert all(np.array_equal(one.numpy(), other.numpy()) for one, other in pairs)


@pytest.mark.parametrize("name", ["broken.weights.h5", "broken.keras", "broken.h5"])
def test_file_without_fitting_weights_is_refused(tmp_path, build, name) -> None:
    path = tmp_path / name
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(UsageError, match=r"model\.weights="):
        build(f"model.weights={path}")


def test_error_offline_names_the_place_for_the_file(build, tmp_path, monkeypatch) -> None:
    """The real loading code against a network that refuses."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def refuse(*_: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(MissingFileError) as refusal:
        build("model.weights=imagenet")
    message = str(refusal.value)
    assert "model.weights=null" in message
    assert str(tmp_path / "models") in message
    assert "notop.h5" in message


def test_inference_model_survives_saving(tmp_path, build) -> None:
    for mode in ("imagenet", "unit"):
        regressor = build(f"model.input_mode={mode}", "model.dropout_rate=0.5")
        path = tmp_path / f"{mode}.keras"
        inference_model(regressor).save(path)
        loaded = keras.models.load_model(path)
        assert np.allclose(
            loaded.predict_on_batch(pictures()), regressor.predict_on_batch(pictures()), atol=1e-4
        )


def test_output_is_named_after_the_target(build) -> None:
    assert build().layers[-1].name == "age_years"
    sized = build("target.name=shoe size", "target.unit=mm")
    assert sized.layers[-1].name == "shoe_size_mm"
    assert "age" not in sized.name
