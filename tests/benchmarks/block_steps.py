"""Seconds of a step with conv5 learning, from activations and from pictures, and the FLOPs' ratio.

python -m tests.benchmarks.block_steps <weights file>
"""

import functools
import sys

import keras

from src.cli.command_line import compose_config
from src.data import prepare
from src.training.program import forget_kept_model
from src.training.start import start_model
from tests.benchmarks.frozen_backbone import median_seconds

NAME = "resnet50"
SIZE, STEPS = 224, 8


def main() -> None:
    seconds = []
    for is_cached in ("true", "false"):
        config = compose_config([
            f"model.weights={sys.argv[1]}", "model.freeze=conv4", "augmentation=none",
            f"data.image_size={SIZE}", "data.num_images=200", f"fit.cache_activations={is_cached}",
        ])  # fmt: skip
        program, inputs = start_model(config, prepare(config.data, config.target))
        step, batch = program.fitted.train_on_batch, inputs.batches.batch(0, 0)
        seconds.append(median_seconds(functools.partial(step, *batch), STEPS))
        flops = flops_ratio(program.regressor.get_layer(NAME))
        forget_kept_model()
    print(*seconds, flops)


def flops_ratio(backbone: keras.Model) -> float:
    """Of a step from pictures to one from activations: convolutions alone, which are nearly all.

    A learning convolution costs three times its forward pass, for it has two gradients; the first
    ones after the boundary need no gradient of their inputs.
    """
    frozen = learning = 0.0
    for layer in backbone.layers:
        if not isinstance(layer, keras.layers.Conv2D):
            continue
        height, width, channels = layer.output.shape[1:]
        forward = 2 * height * width * channels * layer.kernel.shape[0] ** 2 * layer.kernel.shape[2]
        if not layer.trainable:
            frozen += forward
        elif layer.name in ("conv5_block1_0_conv", "conv5_block1_1_conv"):
            learning += 2 * forward
        else:
            learning += 3 * forward
    return (frozen + learning) / learning


if __name__ == "__main__":
    main()
