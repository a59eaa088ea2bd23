"""ResNet50 with one output: a face in, an age in years out."""

import keras

from src.config.schema import DropoutPosition, InputMode, ModelConfig
from src.model.backbone import build_backbone, freeze, set_batch_norm_momentum

IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
"""Mean of ImageNet's pixels as `keras.applications.resnet.preprocess_input` subtracts it."""


def build_regressor(model: ModelConfig, image_size: int, mean_age: float) -> keras.Model:
    """Build the regressor, with pretrained weights and frozen layers as configured.

    Input: uint8 RGB of shape `(n, image_size, image_size, 3)`. Output: float32 of shape
    `(n, 1)`, years. Preprocessing is part of the model, so whoever loads it feeds it plain
    pictures. Under a mixed policy the output layer stays float32.

    Args:
        model: Architecture, weights and what of them is frozen.
        image_size: Edge of the pictures, px, >= 32.
        mean_age: Start of the output's bias, years; so the first predictions are sensible and a
            ReLU output is not dead from the start.

    Raises:
        FileNotFoundError: If pretrained weights cannot be had.
        ValueError: If they do not fit.
    """
    pictures = keras.Input((image_size, image_size, 3), dtype="uint8", name="pictures")
    backbone = build_backbone(image_size, model.weights)
    freeze(backbone, model.freeze, model.freeze_batch_norm)
    set_batch_norm_momentum(backbone, model.batch_norm_momentum)

    features = backbone(_preprocess(pictures, model.input_mode))
    dropout = keras.layers.Dropout(model.dropout_rate, name="dropout")
    pooling = keras.layers.GlobalAveragePooling2D(name="pooling")
    if model.dropout_position is DropoutPosition.before_pooling:
        vector = pooling(dropout(features))
    else:
        vector = dropout(pooling(features))
    for number, units in enumerate(model.hidden_units, start=1):
        vector = keras.layers.Dense(units, activation="relu", name=f"hidden_{number}")(vector)
    age = keras.layers.Dense(
        1,
        activation=str(model.output_activation),
        bias_initializer=keras.initializers.Constant(mean_age),
        dtype="float32",
        name="age_years",
    )(vector)
    return keras.Model(pictures, age, name="age_regressor")


def inference_model(regressor: keras.Model) -> keras.Model:
    """The same layers without optimizer and loss: 95 MB instead of 283."""
    return keras.Model(regressor.inputs, regressor.outputs, name=regressor.name)


def _preprocess(pictures: keras.KerasTensor, mode: InputMode) -> keras.KerasTensor:
    if mode is InputMode.unit:
        return keras.layers.Rescaling(1 / 255, name="unit")(pictures)
    pixels = keras.layers.Rescaling(1.0, name="to_float")(pictures)
    bgr = keras.ops.flip(pixels, axis=-1)
    offset = [-mean for mean in IMAGENET_MEAN_BGR]
    return keras.layers.Rescaling(1.0, offset=offset, name="imagenet")(bgr)
