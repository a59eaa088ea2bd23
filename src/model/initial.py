"""The values that a regressor starts from."""

from collections.abc import Iterable

import keras
import numpy as np

from src.config.schema import ModelConfig
from src.model.backbone import load_weights
from src.model.dropout import Dropout
from src.model.head import OUTPUT

_HEAD, _BACKBONE = 0, 1  # what a seed draws, each from a stream of its own


def initialise(regressor: keras.Model, model: ModelConfig, mean_age: float, seed: int) -> None:
    """Give every variable the value that it starts from, whatever it has been.

    A new model and a used one so start alike, and a used one needs not be built again.

    Args:
        regressor: As `build_regressor` makes it; changed in place.
        model: What it was made from, but for the dropout rate and the weights, which may differ.
        mean_age: See `initialise_head`.
        seed: The trial's.

    Raises:
        FileNotFoundError: If pretrained weights cannot be had.
        ValueError: If they do not fit.
    """
    backbone = regressor.get_layer(str(model.backbone))
    if model.weights is None:
        _draw(backbone.layers, seed, _BACKBONE)
    else:
        load_weights(backbone, model.weights)
    head = [layer for layer in regressor.layers if layer is not backbone]
    initialise_head(head, model.dropout_rate, mean_age, seed)


def initialise_head(
    layers: Iterable[keras.layers.Layer], dropout_rate: float, mean_age: float, seed: int
) -> None:
    """As `initialise`, the layers after the backbone alone: to the same values.

    Args:
        layers: As `head_layers` makes them, or those of them that learn, in that order.
        dropout_rate: Share of the values that is dropped, [0, 1).
        mean_age: Start of the output's bias, years; so the first predictions are sensible and a
            ReLU output is not dead from the start.
        seed: The trial's.
    """
    layers = list(layers)
    _draw(layers, seed, _HEAD)
    for layer in layers:
        if isinstance(layer, Dropout):
            layer.rate.assign(dropout_rate)
        elif layer.name == OUTPUT:
            layer.bias.assign([mean_age])


def _draw(layers: Iterable[keras.layers.Layer], seed: int, stream: int) -> None:
    """Ask each variable's own initializer, seeded in the order of the layers."""
    rng = np.random.default_rng([seed, stream])
    for layer in layers:
        if isinstance(layer, Dropout):
            layer.seed_generator.state.assign([_seed(rng), 0])  # as Keras makes it of a seed
            continue  # the rate is no draw
        for variable in layer.weights:
            initializer = getattr(layer, f"{variable.name}_initializer")
            settings = initializer.get_config()
            if "seed" in settings:
                initializer = type(initializer)(**settings | {"seed": _seed(rng)})
            variable.assign(initializer(variable.shape, variable.dtype))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 1_000_000_000))
