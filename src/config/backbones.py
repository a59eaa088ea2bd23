"""Backbones by name: the layers at which each can be cut."""

from collections.abc import Mapping
from dataclasses import dataclass

from src.config.schema import Backbone


@dataclass(frozen=True)
class BackboneFacts:
    """Facts about a backbone that a configuration is checked against.

    Attributes:
        stages: Number of blocks of each stage after the first, by the stage's name. Layers of a
            block are named `<stage>_block<number>_…`, layers of the first stage `conv1_…`.
        has_imagenet: Whether `model.weights=imagenet` exists.
    """

    stages: Mapping[str, int]
    has_imagenet: bool

    @property
    def freezable(self) -> tuple[str, ...]:
        """Returns the values of `model.freeze`: nothing, all, a stage or the last block."""
        blocks = [f"{stage}_block{n}" for stage, last in self.stages.items()
                  for n in range(1, last + 1)]  # fmt: skip
        return ("none", "backbone", "conv1", *self.stages, *blocks)


BACKBONES = {
    # He et al. 2016, table 1
    Backbone.resnet50: BackboneFacts({"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3}, True),
    Backbone.tiny: BackboneFacts({"conv2": 1, "conv3": 1}, False),
}
