"""Schema of the configuration: one frozen dataclass for each group of `conf/`.

The classes hold names, types, ranges and effects (see `keys.py`); every value is in `conf/*.yaml`.
Hydra checks types and spelling against them while it composes, before a heavy library is imported.
"""

import dataclasses
import re
from dataclasses import dataclass, field
from enum import StrEnum, auto

from omegaconf import DictConfig, OmegaConf

from src.config.keys import Affects, Range, above, at_least, between, key, seed_range
from src.config.study_schema import PrunerConfig, StudyConfig, TrackingConfig

SOURCE, FACES, PIXELS, VIEWS = Affects.SOURCE, Affects.FACES, Affects.PIXELS, Affects.VIEWS
BATCHES, BACKBONE, HEAD, STEP = Affects.BATCHES, Affects.BACKBONE, Affects.HEAD, Affects.STEP
LENGTH, EXECUTION, NOTHING = Affects.LENGTH, Affects.EXECUTION, Affects.NOTHING
LIVE, PER_HEAD = Affects.LIVE, Affects.PER_HEAD

MIN_IMAGE_SIZE = 32  # px; keras.applications.ResNet50 refuses less
AGE_BANDS = [[0, 4], [5, 12], [13, 19], [20, 29], [30, 39], [40, 49], [50, 59], [60, 69], [70, 120]]
_DECAY = at_least(0, 0.01, is_optional=True)
_PATIENCE = at_least(1, 5, is_optional=True)
_WIDTHS = Range(lambda widths: all(width >= 1 for width in widths),
                "hold widths >= 1, or be empty", "[48]")  # fmt: skip


class Layout(StrEnum):
    """Layout of pictures and ages on disk."""

    labels_csv = auto()
    utkface = auto()
    appa_real = auto()
    sample = auto()


class Decoder(StrEnum):
    """Library that turns a picture file into pixels."""

    pillow = auto()
    opencv = auto()
    tensorflow = auto()


class SplitMethod(StrEnum):
    """Method that splits faces into training, validation and test."""

    stratified = auto()
    notebook = auto()
    official = auto()


class Conflict(StrEnum):
    """Treatment of byte-identical pictures with different ages."""

    drop = auto()
    keep = auto()


class InputMode(StrEnum):
    """Pixel values that the backbone sees.

    `imagenet`: BGR minus the ImageNet mean, what the pretrained weights expect.
    `unit`: RGB × 1/255, what the seed study fed them.
    """

    imagenet = auto()
    unit = auto()


class DropoutPosition(StrEnum):
    """Place of dropout: on the feature map, or on the pooled vector."""

    before_pooling = auto()
    after_pooling = auto()


class OutputActivation(StrEnum):
    """Activation of the single output unit, in years."""

    linear = auto()
    relu = auto()


class Loss(StrEnum):
    """Training loss, by Keras's name."""

    mse = auto()
    mae = auto()
    huber = auto()


class Precision(StrEnum):
    """Keras dtype policy of the trial."""

    float32 = auto()
    mixed_float16 = auto()
    mixed_bfloat16 = auto()


class Backbone(StrEnum):
    """Network between pictures and head; `src/config/backbones.py` describes each."""

    resnet50 = auto()
    tiny = auto()


@dataclass(frozen=True)
class ColumnsConfig:
    """Column names of a `labels_csv` table; `split` may be null."""

    file_name: str = field(metadata=key(SOURCE))
    age: str = field(metadata=key(SOURCE))
    split: str | None = field(metadata=key(SOURCE))


@dataclass(frozen=True)
class SplitConfig:
    """Parts of the data. Fractions are of all usable faces and lie in [0, 1)."""

    method: SplitMethod = field(metadata=key(FACES))
    val_fraction: float = field(metadata=key(FACES, between(0, 1, 0.2)))
    test_fraction: float = field(metadata=key(FACES, between(0, 1, 0.2)))
    seed: int = field(metadata=key(FACES, seed_range()))


@dataclass(frozen=True)
class DataConfig:
    """Location of the faces, their selection, and their form as inputs of the model."""

    layout: Layout = field(metadata=key(FACES))
    root: str | None = field(metadata=key(SOURCE))
    labels_file: str = field(metadata=key(SOURCE))
    image_dir: str = field(metadata=key(SOURCE))
    columns: ColumnsConfig
    num_images: int = field(metadata=key(FACES, at_least(1, 1200)))
    image_size: int = field(metadata=key(PIXELS | BACKBONE, at_least(MIN_IMAGE_SIZE, 64, " px")))
    batch_size: int = field(metadata=key(BATCHES, at_least(1, 32)))
    limit: int | None = field(metadata=key(FACES, at_least(2, 500, " faces", is_optional=True)))
    decoder: Decoder = field(metadata=key(PIXELS))
    conflicting_duplicates: Conflict = field(metadata=key(FACES))
    max_bad_fraction: float = field(metadata=key(FACES, between(0, 1, 0.05, includes_high=True)))
    max_pixels: int = field(metadata=key(PIXELS))
    cache_dir: str = field(metadata=key(NOTHING))
    split: SplitConfig


@dataclass(frozen=True)
class TargetConfig:
    """The quantity that is predicted.

    Attributes:
        name: A word for it, such as `age`.
        unit: Unit of labels, predictions and errors, such as `years`.
        range: Least and greatest label that is accepted.
        bands: Inclusive whole-number ranges of labels for which errors are shown apart.
    """

    name: str = field(metadata=key(NOTHING, neutral="age"))
    unit: str = field(metadata=key(NOTHING, neutral="years"))
    range: list[float] = field(metadata=key(SOURCE, neutral=[0.0, 120.0]))
    bands: list[list[int]] = field(metadata=key(NOTHING, neutral=AGE_BANDS))

    @property
    def column(self) -> str:
        """Name of the label's column in tables: the name without blanks."""
        return self.name.replace(" ", "_")

    @property
    def text_column(self) -> str:
        """Name of the column of labels as they were written, such as `age_text`."""
        return f"{self.column}_text"

    @property
    def output(self) -> str:
        """Name of the model's output, such as `age_years`."""
        return re.sub(r"[^A-Za-z0-9]+", "_", f"{self.name}_{self.unit}").strip("_") or "label"


@dataclass(frozen=True)
class ModelConfig:
    """The regressor: backbone, which layers of it learn, head and loss."""

    backbone: Backbone = field(metadata=key(BACKBONE, neutral=Backbone.resnet50))
    weights: str | None = field(metadata=key(BACKBONE | LIVE))
    input_mode: InputMode = field(metadata=key(BACKBONE))
    freeze: str = field(metadata=key(BACKBONE))
    freeze_batch_norm: bool = field(metadata=key(BACKBONE))
    batch_norm_momentum: float = field(metadata=key(BACKBONE, between(0, 1, 0.99)))
    dropout_rate: float = field(metadata=key(HEAD | LIVE | PER_HEAD, between(0, 1, 0.5)))
    dropout_position: DropoutPosition = field(metadata=key(BACKBONE))  # pooling may be frozen
    hidden_units: list[int] = field(metadata=key(HEAD, _WIDTHS))
    output_activation: OutputActivation = field(metadata=key(HEAD))
    loss: Loss = field(metadata=key(HEAD))


@dataclass(frozen=True)
class OptimizerConfig:
    """Arguments that all optimizers share. `name` and all other fields are Keras's own."""

    name: str = field(metadata=key(STEP))
    learning_rate: float = field(metadata=key(STEP | LIVE | PER_HEAD, above(0, 1e-4)))
    clipnorm: float | None = field(metadata=key(STEP | PER_HEAD, above(0, 1.0, is_optional=True)))


@dataclass(frozen=True)
class AdamConfig(OptimizerConfig):
    """Arguments of `keras.optimizers.Adam`."""

    beta_1: float = field(metadata=key(STEP | PER_HEAD, between(0, 1, 0.9)))
    beta_2: float = field(metadata=key(STEP | PER_HEAD, between(0, 1, 0.999)))
    epsilon: float = field(metadata=key(STEP | PER_HEAD, above(0, 1e-7)))
    weight_decay: float | None = field(metadata=key(STEP | PER_HEAD, _DECAY))


@dataclass(frozen=True)
class AdamWConfig(AdamConfig):
    """Arguments of `keras.optimizers.AdamW`: Adam with decoupled weight decay."""


@dataclass(frozen=True)
class SGDConfig(OptimizerConfig):
    """Arguments of `keras.optimizers.SGD`."""

    momentum: float = field(metadata=key(STEP, between(0, 1, 0.9)))
    nesterov: bool = field(metadata=key(STEP))
    weight_decay: float | None = field(metadata=key(STEP | PER_HEAD, _DECAY))


@dataclass(frozen=True)
class ScheduleConfig:
    """Learning rate over time: linear warm-up, then a cosine to a fraction of its peak.

    A `final_fraction` of 1 keeps the rate constant after the warm-up.
    """

    warmup_epochs: float = field(metadata=key(STEP | LIVE))
    final_fraction: float = field(metadata=key(STEP | LIVE, between(0, 1, 1, includes_high=True)))


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes to each training picture; zero or false switches one off.

    `cached_views` is the number of augmented views that are drawn once for each picture and then
    used in turn; null draws a new view at each step.
    """

    horizontal_flip: bool = field(metadata=key(VIEWS))
    vertical_flip: bool = field(metadata=key(VIEWS))
    rotation_degrees: float = field(metadata=key(VIEWS, between(0, 180, 15, includes_high=True)))
    shift_fraction: float = field(metadata=key(VIEWS, between(0, 1, 0.1)))
    zoom_fraction: float = field(metadata=key(VIEWS, between(0, 1, 0.1)))
    brightness: float = field(metadata=key(VIEWS, between(0, 1, 0.1)))
    contrast: float = field(metadata=key(VIEWS, between(0, 1, 0.1)))
    cached_views: int | None = field(metadata=key(VIEWS, at_least(1, "null", is_optional=True)))

    @property
    def changes_pictures(self) -> bool:
        """Returns whether any change is on."""
        return any(value for name, value in vars(self).items() if name != "cached_views")


@dataclass(frozen=True)
class FitConfig:
    """Length and method of training and measurement."""

    epochs: int = field(metadata=key(LENGTH, at_least(1, 20)))
    fidelity: int | None = field(metadata=key(LENGTH))
    keep_state: bool = field(metadata=key(NOTHING))
    early_stopping_patience: int | None = field(metadata=key(LENGTH, _PATIENCE))
    precision: Precision = field(metadata=key(BACKBONE))
    jit_compile: bool = field(metadata=key(BACKBONE))
    deterministic: bool = field(metadata=key(BACKBONE))
    resume: bool = field(metadata=key(NOTHING))
    cache_activations: bool = field(metadata=key(EXECUTION))  # rounding to float16 apart
    eval_batch_size: int = field(metadata=key(EXECUTION, at_least(1, 64)))
    train_eval_limit: int = field(metadata=key(FACES, at_least(1, 2000)))
    evaluate_test: bool = field(metadata=key(NOTHING))

    @property
    def last_epoch(self) -> int:
        """The epoch after which the trial ends at the latest."""
        return self.epochs if self.fidelity is None else self.fidelity


@dataclass(frozen=True)
class Config:
    """One full assignment of every hyperparameter, and the trial's surroundings."""

    data: DataConfig
    target: TargetConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    augmentation: AugmentationConfig
    fit: FitConfig
    pruner: PrunerConfig
    study: StudyConfig
    tracking: TrackingConfig
    seed: int = field(metadata=key(HEAD | LIVE | PER_HEAD, seed_range()))


def optimizer_schemas(base: type[OptimizerConfig] = OptimizerConfig) -> dict[str, type]:
    """Returns the schema of each optimizer by its name in Keras, such as `AdamW`.

    A class `<Name>Config` that derives from `OptimizerConfig` is one.
    """
    schemas: dict[str, type] = {}
    for schema in base.__subclasses__():
        schemas |= {optimizer_name(schema): schema, **optimizer_schemas(schema)}
    return schemas


def optimizer_name(schema: type) -> str:
    """Returns Keras's name of the optimizer that a schema describes."""
    return schema.__name__.removesuffix("Config")


def mergeable(schema: type) -> DictConfig:
    """Returns a structured node that can be filled: OmegaConf makes frozen classes read-only."""
    node: DictConfig = OmegaConf.structured(schema)
    OmegaConf.set_readonly(node, None)
    for each in dataclasses.fields(schema):
        if isinstance(each.type, type) and dataclasses.is_dataclass(each.type):
            node[each.name] = mergeable(each.type)
    return node
