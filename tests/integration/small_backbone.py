"""A network of one convolution that stands in for ResNet50, and tells when Python runs it."""

import keras

from src.config.schema import Backbone
from src.model.backbone import build_backbone

TRACES: list[bool] = []
"""One entry for each time that Python ran the small backbone: whether it was for training."""


@keras.saving.register_keras_serializable(package="tests")
class TracedIdentity(keras.layers.Layer):
    """Passes its input on, and notes that it was called by Python and not by the graph."""

    def call(self, inputs: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        TRACES.append(bool(training))
        return inputs


def build_small_backbone(backbone: object, image_size: int) -> keras.Model:
    """One strided convolution with batch norm, under ResNet50's name."""
    pictures = keras.Input((image_size, image_size, 3))
    features = keras.layers.Conv2D(8, 5, strides=4, name="conv1_conv")(pictures)
    features = keras.layers.BatchNormalization(name="conv1_bn")(features)
    features = TracedIdentity()(keras.layers.ReLU()(features))
    return keras.Model(pictures, features, name="resnet50")


def save_small_weights(seed: int = 0) -> None:
    """Write `any.weights.h5` for it: other weights for another seed."""
    keras.utils.set_random_seed(seed)
    build_small_backbone(None, 32).save_weights("any.weights.h5")


def save_tiny_weights(seed: int = 0) -> None:
    """Writes `any.weights.h5` for the tiny backbone; another seed gives other weights."""
    keras.utils.set_random_seed(seed)
    build_backbone(Backbone.tiny, 32).save_weights("any.weights.h5")
