"""Regressor: a backbone with one output, from a picture to the target."""

import keras

from src.config.schema import DropoutPosition, InputMode, ModelConfig, TargetConfig
from src.model.backbone import build_backbone, configure_layers, last_frozen_layer
from src.model.dropout import Dropout

IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
"""Mean of ImageNet's pixels as `keras.applications.resnet.preprocess_input` subtracts it."""


def build_regressor(model: ModelConfig, image_size: int, target: TargetConfig) -> keras.Model:
    """Returns the regressor, with frozen layers as configured; see `initialise` for its weights.

    Input: uint8 RGB of shape `(n, image_size, image_size, 3)`. Output: float32 of shape `(n, 1)`,
    in the unit of the target. Preprocessing is part of the model. Under a mixed policy the output
    layer stays float32.

    Args:
        model: Architecture and frozen layers.
        image_size: Edge of the pictures, px, >= 32.
        target: The predicted quantity; model and output are named after it.
    """
    pictures = keras.Input((image_size, image_size, 3), dtype="uint8", name="pictures")
    backbone = build_backbone(model.backbone, image_size)
    configure_layers(backbone, model)
    value = backbone(_preprocess(pictures, model.input_mode))
    for layer in head_layers(model, target.output):
        value = layer(value)
    return keras.Model(pictures, value, name=f"{target.output}_regressor")


def head_layers(model: ModelConfig, output: str) -> list[keras.layers.Layer]:
    """Returns the layers in the order in which they are applied to the backbone's feature map.

    Args:
        model: Architecture of the head.
        output: Name of the last layer, see `TargetConfig.output`.
    """
    dropout = Dropout(model.dropout_rate, name="dropout")
    pooling = keras.layers.GlobalAveragePooling2D(name="pooling")
    hidden = [
        keras.layers.Dense(units, activation="relu", name=f"hidden_{number}")
        for number, units in enumerate(model.hidden_units, start=1)
    ]
    last = keras.layers.Dense(
        1, activation=str(model.output_activation), dtype="float32", name=output
    )
    if model.dropout_position is DropoutPosition.before_pooling:
        return [dropout, pooling, *hidden, last]
    return [pooling, dropout, *hidden, last]


def divide(regressor: keras.Model, model: ModelConfig) -> tuple[keras.Model | None, keras.Model]:
    """Divides the regressor into two models, which share its layers and weights.

    Args:
        regressor: Returned by `build_regressor`.
        model: Its configuration.

    Returns:
        The frozen part, from pictures to the activations at its end, None if no layer is frozen;
        and the learning part, from those activations to the output.
    """
    if model.freeze == "none":
        return None, regressor
    if model.freeze == "backbone":  # and pooling, where that comes before dropout
        boundary = regressor.get_layer("dropout").input
        frozen = keras.Model(regressor.input, boundary, name="frozen")
        return frozen, keras.Model(boundary, regressor.output, name="learner")
    backbone = regressor.get_layer(str(model.backbone))
    boundary = backbone.get_layer(last_frozen_layer(backbone, model.freeze)).output
    frozen_blocks = keras.Model(backbone.input, boundary, name="frozen_blocks")
    after_backbone = regressor.get_layer(
        "dropout" if model.dropout_position is DropoutPosition.before_pooling else "pooling"
    )
    head = keras.Model(after_backbone.input, regressor.output, name="head")
    pixels = regressor.get_layer(str(model.input_mode)).output
    frozen = keras.Model(regressor.input, frozen_blocks(pixels), name="frozen")
    activations = keras.Input(boundary.shape[1:], name="activations")
    features = activations
    if boundary is not backbone.output:  # else all blocks are frozen
        learning_blocks = keras.Model(boundary, backbone.output, name="learning_blocks")
        features = learning_blocks(activations)
    return frozen, keras.Model(activations, head(features), name="learner")


def inference_model(regressor: keras.Model) -> keras.Model:
    """Returns a copy without optimizer and loss (95 MB, not 283) and with Keras's own layers."""

    def plain(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, Dropout):
            rate = float(keras.ops.convert_to_numpy(layer.rate))
            return keras.layers.Dropout(rate, name=layer.name)
        return layer

    # Without optimizer and loss, which Keras would copy too: it cannot load a LiveCosineDecay.
    bare = keras.Model(regressor.inputs, regressor.outputs, name=regressor.name)
    return keras.models.clone_model(bare, clone_function=plain)


def _preprocess(pictures: keras.KerasTensor, mode: InputMode) -> keras.KerasTensor:
    if mode is InputMode.unit:
        return keras.layers.Rescaling(1 / 255, name="unit")(pictures)
    pixels = keras.layers.Rescaling(1.0, name="to_float")(pictures)
    bgr = keras.ops.flip(pixels, axis=-1)
    offset = [-mean for mean in IMAGENET_MEAN_BGR]
    return keras.layers.Rescaling(1.0, offset=offset, name="imagenet")(bgr)
