"""Initial values of a regressor."""

from collections.abc import Iterable, Sequence

import keras
import numpy as np

from src.config.schema import ModelConfig
from src.model.backbone import load_weights
from src.model.dropout import Dropout

_HEAD, _BACKBONE = 0, 1  # random streams of a seed


def initialise(regressor: keras.Model, model: ModelConfig, mean_label: float, seed: int) -> None:
    """Gives every variable its initial value; a used model starts as a new one does.

    Args:
        regressor: Returned by `build_regressor`; changed in place.
        model: Its configuration; dropout rate and weights may differ from those it was built with.
        mean_label: See `initialise_head`.
        seed: The trial's.

    Raises:
        MissingFileError: If pretrained weights are not available.
        UsageError: If they do not fit.
    """
    backbone = regressor.get_layer(str(model.backbone))
    if model.weights is None:
        _draw(backbone.layers, seed, _BACKBONE)
    else:
        load_weights(backbone, model.weights)
    head = [layer for layer in regressor.layers if layer is not backbone]
    initialise_head(head, model.dropout_rate, mean_label, seed)


def initialise_head(
    layers: Sequence[keras.layers.Layer], dropout_rate: float, mean_label: float, seed: int
) -> None:
    """Gives the layers after the backbone the initial values that `initialise` gives them.

    Args:
        layers: Layers of a head, or those of them that learn, in the order of `head_layers`.
        dropout_rate: Share of dropped values, [0, 1).
        mean_label: Initial bias of the output, so that the first predictions are plausible and a
            ReLU output is not zero from the start.
        seed: The trial's.
    """
    _draw(layers, seed, _HEAD)
    for layer in layers:
        if isinstance(layer, Dropout):
            layer.rate.assign(dropout_rate)
    layers[-1].bias.assign([mean_label])


def _draw(layers: Iterable[keras.layers.Layer], seed: int, stream: int) -> None:
    """Draws from each variable's own initializer, seeded in the order of the layers."""
    rng = np.random.default_rng([seed, stream])
    for layer in layers:
        if isinstance(layer, Dropout):
            layer.seed_generator.state.assign([_seed(rng), 0])  # as Keras initialises it
            continue  # the rate is not drawn
        for variable in layer.weights:
            initializer = getattr(layer, f"{variable.name}_initializer")
            settings = initializer.get_config()
            if "seed" in settings:
                initializer = type(initializer)(**settings | {"seed": _seed(rng)})
            variable.assign(initializer(variable.shape, variable.dtype))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 1_000_000_000))
