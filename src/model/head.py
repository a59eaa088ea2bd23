"""Layers after the backbone: dropout, pooling, hidden layers and one output."""

import keras

from src.config.schema import DropoutPosition, ModelConfig
from src.model.dropout import Dropout


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
