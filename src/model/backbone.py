"""Backbones without their tops: layers, weights, and which layers learn."""

import os
import zipfile
from pathlib import Path

import keras

from src.config.schema import Backbone, ModelConfig
from src.core.errors import MissingFileError, UsageError

_IMAGENET_FILE = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
_IMAGENET_URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet"


def build_backbone(backbone: Backbone, image_size: int) -> keras.Model:
    """Returns a backbone with random weights, whose name is that of its kind.

    Args:
        backbone: Kind of network.
        image_size: Edge of the pictures, px, >= 32.
    """
    shape = (image_size, image_size, 3)
    match backbone:
        case Backbone.resnet50:
            return keras.applications.ResNet50(
                include_top=False, weights=None, input_shape=shape, name=str(backbone)
            )
        case Backbone.tiny:
            return _build_tiny(shape, str(backbone))


def _build_tiny(shape: tuple[int, int, int], name: str) -> keras.Model:
    """Returns three strided convolutions with batch norm, 5,000 weights, named as ResNet50's."""
    pictures = keras.Input(shape)
    value = pictures
    for layer, filters in (("conv1", 8), ("conv2_block1", 16), ("conv3_block1", 24)):
        convolution = keras.layers.Conv2D(
            filters, 3, strides=2, padding="same", use_bias=False, name=f"{layer}_conv"
        )
        value = keras.layers.BatchNormalization(name=f"{layer}_bn")(convolution(value))
        value = keras.layers.ReLU(name=f"{layer}_out")(value)
    return keras.Model(pictures, value, name=name)


def load_weights(backbone: keras.Model, weights: str) -> None:
    """Loads weights into a backbone.

    Args:
        backbone: Changed in place.
        weights: `imagenet`; or a file: weights that Keras saved of such a backbone without top
            (`.h5`), or a whole regressor that a trial saved (`.keras`).

    Raises:
        MissingFileError: If ImageNet's weights are not on disk and cannot be fetched.
        UsageError: If the file holds no weights that fit.
    """
    path = fetch_weights(weights)
    try:
        if path.suffix == ".keras":
            regressor = keras.models.load_model(path, compile=False)
            backbone.set_weights(regressor.get_layer(backbone.name).get_weights())
        else:
            backbone.load_weights(path)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0][:200]
        raise UsageError(
            f"The file holds no weights of a {backbone.name} without top: {reason}. "
            f"Received: model.weights={weights}. Fix: model.weights=<another file>, or null"
        ) from error


def configure_layers(backbone: keras.Model, model: ModelConfig) -> None:
    """Freezes layers, and sets how slowly the statistics of batch norm follow the batches.

    `model.freeze` is `none`, `backbone` for all of it, or the name of the last block to freeze,
    such as `conv4_block6`, or of a whole stage, such as `conv4`. `model.freeze_batch_norm` freezes
    batch norm everywhere, with its statistics; in frozen layers it is always frozen. Keras runs a
    frozen batch norm in inference mode. `model.batch_norm_momentum` is the share of the old value
    that is kept at each step, [0, 1). Inference is unreliable for about `5 / (1 - momentum)` steps
    if the initial statistics were wrong.

    Args:
        backbone: Changed in place.
        model: Configuration of the regressor.
    """
    if model.freeze == "backbone":
        backbone.trainable = False
    elif model.freeze != "none":
        last = last_frozen_layer(backbone, model.freeze)
        for layer in backbone.layers:
            layer.trainable = False
            if layer.name == last:
                break
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = model.batch_norm_momentum
            if model.freeze_batch_norm:
                layer.trainable = False


def last_frozen_layer(backbone: keras.Model, until: str) -> str:
    """Returns the name of the last frozen layer, for a block or a stage."""
    return [layer.name for layer in backbone.layers if layer.name.startswith(f"{until}_")][-1]


def fetch_weights(weights: str) -> Path:
    """Returns the file of weights; Keras fetches ImageNet's into its cache and checks them.

    Raises:
        MissingFileError: If ImageNet's weights are not on disk and cannot be fetched.
    """
    if weights != "imagenet":
        return Path(weights)
    keras_home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    url = f"{_IMAGENET_URL}/{_IMAGENET_FILE}"
    try:
        file = keras.utils.get_file(
            _IMAGENET_FILE,
            url,
            cache_dir=keras_home,
            cache_subdir="models",
            file_hash="4d473c1dd8becc155b73f8504c6f6626",  # as keras.applications checks it
        )
    except Exception as error:  # Keras raises a bare Exception when the network fails
        raise MissingFileError(
            f"ImageNet's weights are not on this machine and cannot be fetched ({error}). "
            "Received: model.weights=imagenet. Fix: model.weights=null to start from random "
            f"weights, or put the file from {url} into {keras_home / 'models'}"
        ) from error
    return Path(file)
