"""Weights of the tiny backbone in a file."""

import keras

from src.config.schema import Backbone
from src.model.backbone import build_backbone


def save_tiny_weights(seed: int = 0) -> None:
    """Writes `any.weights.h5` for the tiny backbone; another seed gives other weights."""
    keras.utils.set_random_seed(seed)
    build_backbone(Backbone.tiny, 32).save_weights("any.weights.h5")
