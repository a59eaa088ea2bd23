"""Random changes to batches of training pictures."""

import cv2
import numpy as np

from src.config.schema import AugmentationConfig


def augment(
    images: np.ndarray, augmentation: AugmentationConfig, rng: np.random.Generator
) -> np.ndarray:
    """Flip, turn, shift, zoom and light each picture by its own random draw.

    Whatever the settings, each picture uses the same number of draws, so that switching one
    change off leaves the others as they were. What a warp brings in from outside repeats the
    border, as Keras's `ImageDataGenerator` does.

    Args:
        images: uint8 of shape `(n, size, size, 3)`; not changed.
        augmentation: Which changes, and how far.
        rng: Source of the draws.

    Returns:
        uint8 array of the same shape.
    """
    draws = rng.random((len(images), 8))
    flipped_x = (draws[:, 0] < 0.5) & augmentation.horizontal_flip
    flipped_y = (draws[:, 1] < 0.5) & augmentation.vertical_flip
    angle, zoom, shift_x, shift_y, brightness, contrast = 2 * draws[:, 2:].T - 1  # uniform in ±1
    if _warps(augmentation):
        size = images.shape[1]
        maps = _affine_maps(
            np.where(flipped_x, -1.0, 1.0),
            np.where(flipped_y, -1.0, 1.0),
            np.deg2rad(angle * augmentation.rotation_degrees),
            1 + zoom * augmentation.zoom_fraction,
            np.stack([shift_x, shift_y], axis=1) * augmentation.shift_fraction * size,
            size,
        )
        result = np.stack([_warp(*pair) for pair in zip(images, maps, strict=True)])
    else:
        result = images.copy()
        result[flipped_x] = result[flipped_x, :, ::-1]
        result[flipped_y] = result[flipped_y, ::-1]
    if augmentation.brightness or augmentation.contrast:
        factors = 1 + contrast * augmentation.contrast
        offsets = 127.5 * (1 - factors) + brightness * augmentation.brightness * 255
        for image, factor, offset in zip(result, factors, offsets, strict=True):
            levels = np.clip(np.arange(256) * factor + offset, 0, 255).astype(np.uint8)
            cv2.LUT(image, levels, dst=image)
    return result


def _warps(augmentation: AugmentationConfig) -> bool:
    return bool(
        augmentation.rotation_degrees or augmentation.shift_fraction or augmentation.zoom_fraction
    )


def _affine_maps(
    sign_x: np.ndarray,
    sign_y: np.ndarray,
    angle: np.ndarray,
    zoom: np.ndarray,
    shift: np.ndarray,
    size: int,
) -> np.ndarray:
    """One map a picture, about its centre, so that pixels are interpolated once.

    Args:
        sign_x: −1 where mirrored left to right, else 1; shape `(n,)`, as the next three.
        sign_y: The same, top to bottom.
        angle: Radians.
        zoom: Factor.
        shift: px, shape `(n, 2)`.
        size: Edge of the pictures, px.

    Returns:
        Matrices of shape `(n, 2, 3)`.
    """
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    turn = np.stack([cosine * sign_x, -sine * sign_y, sine * sign_x, cosine * sign_y], axis=1)
    turn = turn.reshape(-1, 2, 2)
    centre = np.full(2, (size - 1) / 2)
    return np.concatenate([turn, (centre - turn @ centre + shift)[:, :, None]], axis=2)


def _warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(
        image,
        matrix,
        image.shape[1::-1],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
