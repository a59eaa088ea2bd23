"""The layers after the backbone: dropout, pooling, hidden layers, one output in years."""

import keras

from src.config.schema import DropoutPosition, ModelConfig
from src.model.dropout import Dropout

OUTPUT = "age_years"
"""Name of the last layer."""


def head_layers(model: ModelConfig) -> list[keras.layers.Layer]:
    """The layers in the order in which they are applied to the backbone's feature map."""
    dropout = Dropout(model.dropout_rate, name="dropout")
    pooling = keras.layers.GlobalAveragePooling2D(name="pooling")
    hidden = [
        keras.layers.Dense(units, activation="relu", name=f"hidden_{number}")
        for number, units in enumerate(model.hidden_units, start=1)
    ]
    age = keras.layers.Dense(
        1,
        activation=str(model.output_activation),
        dtype="float32",
        name=OUTPUT,
    )
    if model.dropout_position is DropoutPosition.before_pooling:
        return [dropout, pooling, *hidden, age]
    return [pooling, dropout, *hidden, age]


def build_learning_head(model: ModelConfig, activation_shape: tuple[int, ...]) -> keras.Model:
    """From a frozen backbone's activations to years, as the learner of `divide` does.

    Args:
        model: See `head_layers`.
        activation_shape: Of a picture's activations: a feature map, or a vector where pooling
            comes before dropout and is frozen too.
    """
    layers = head_layers(model)
    first = next(place for place, layer in enumerate(layers) if isinstance(layer, Dropout))
    activations = keras.Input(activation_shape, name="activations")
    value = activations
    for layer in layers[first:]:
        value = layer(value)
    return keras.Model(activations, value, name="learner")
