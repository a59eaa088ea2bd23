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
    symmetric = 2 * draws[:, 2:] - 1  # uniform in ±1
    if _warps(augmentation):
        return np.stack([
            _light(_warp(*arguments, augmentation), lights, augmentation)
            for *arguments, lights in zip(images, flipped_x, flipped_y, symmetric[:, :4],
                                          symmetric[:, 4:], strict=True)
        ])  # fmt: skip
    result = images.copy()
    result[flipped_x] = result[flipped_x, :, ::-1]
    result[flipped_y] = result[flipped_y, ::-1]
    if augmentation.brightness or augmentation.contrast:
        for image, lights in zip(result, symmetric[:, 4:], strict=True):
            image[:] = _light(image, lights, augmentation)
    return result


def _warps(augmentation: AugmentationConfig) -> bool:
    return bool(
        augmentation.rotation_degrees or augmentation.shift_fraction or augmentation.zoom_fraction
    )


def _warp(
    image: np.ndarray,
    flipped_x: bool,
    flipped_y: bool,
    draws: np.ndarray,
    augmentation: AugmentationConfig,
) -> np.ndarray:
    """One affine map for flips, rotation, zoom and shift, so pixels are interpolated once."""
    size = image.shape[0]
    angle = np.deg2rad(draws[0] * augmentation.rotation_degrees)
    zoom = 1 + draws[1] * augmentation.zoom_fraction
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    turn = turn @ np.diag([-1.0 if flipped_x else 1.0, -1.0 if flipped_y else 1.0])
    centre = np.full(2, (size - 1) / 2)
    shift = centre - turn @ centre + draws[2:4] * augmentation.shift_fraction * size
    matrix = np.column_stack([turn, shift])
    return cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _light(image: np.ndarray, draws: np.ndarray, augmentation: AugmentationConfig) -> np.ndarray:
    """Scale around mid-gray by the contrast, then add the brightness."""
    if not (augmentation.brightness or augmentation.contrast):
        return image
    contrast = 1 + draws[1] * augmentation.contrast
    offset = 127.5 * (1 - contrast) + draws[0] * augmentation.brightness * 255
    levels = np.clip(np.arange(256) * contrast + offset, 0, 255).astype(np.uint8)
    return cv2.LUT(image, levels)
