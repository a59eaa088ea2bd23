"""The configuration's shape: one frozen dataclass for each group of `conf/`.

The classes hold names, types and meaning; every value lives in `conf/*.yaml`. Hydra checks types
and spelling against them while it composes, long before a heavy library is imported.
"""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum, auto

from omegaconf import DictConfig, OmegaConf


class Layout(StrEnum):
    """How pictures and ages lie on disk."""

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
    """How faces are dealt to training, validation and test."""

    stratified = auto()
    notebook = auto()
    official = auto()


class Conflict(StrEnum):
    """What to do with byte-identical pictures that carry different ages."""

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
    """Where dropout acts: on the feature map, or on the pooled vector."""

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


class PrunerName(StrEnum):
    """Rule that ends a trial which falls behind the others of its study."""

    none = auto()
    median = auto()
    asha = auto()


class KeepModel(StrEnum):
    """Which trials store their best model (95 MB each)."""

    best = auto()
    all = auto()
    none = auto()


class ClaimOutcome(StrEnum):
    """What a claim is about: years, years, and seconds."""

    val_mae = auto()
    gap = auto()
    seconds_per_epoch = auto()


class ClaimDirection(StrEnum):
    """Which way it goes."""

    up = auto()
    down = auto()


@dataclass(frozen=True)
class ColumnsConfig:
    """Column names of a `labels_csv` table; `split` may be null."""

    file_name: str
    age: str
    split: str | None


@dataclass(frozen=True)
class SplitConfig:
    """Fractions are of all usable faces and lie in [0, 1)."""

    method: SplitMethod
    val_fraction: float
    test_fraction: float
    seed: int


@dataclass(frozen=True)
class DataConfig:
    """Where the faces are, which of them count, and in what form they reach the model."""

    layout: Layout
    root: str | None
    labels_file: str
    image_dir: str
    columns: ColumnsConfig
    num_images: int
    image_size: int
    batch_size: int
    limit: int | None
    decoder: Decoder
    conflicting_duplicates: Conflict
    max_bad_fraction: float
    max_pixels: int
    cache_dir: str
    split: SplitConfig


@dataclass(frozen=True)
class ModelConfig:
    """The regressor: backbone, what of it learns, head and loss."""

    weights: str | None
    input_mode: InputMode
    freeze: str
    freeze_batch_norm: bool
    batch_norm_momentum: float
    dropout_rate: float
    dropout_position: DropoutPosition
    hidden_units: list[int]
    output_activation: OutputActivation
    loss: Loss


@dataclass(frozen=True)
class OptimizerConfig:
    """What all optimizers share. `name` and all other fields are Keras's own."""

    name: str
    learning_rate: float
    clipnorm: float | None


@dataclass(frozen=True)
class AdamConfig(OptimizerConfig):
    """Arguments of `keras.optimizers.Adam`."""

    beta_1: float
    beta_2: float
    epsilon: float
    weight_decay: float | None


@dataclass(frozen=True)
class AdamWConfig(AdamConfig):
    """Arguments of `keras.optimizers.AdamW`: Adam with decoupled weight decay."""


@dataclass(frozen=True)
class SGDConfig(OptimizerConfig):
    """Arguments of `keras.optimizers.SGD`."""

    momentum: float
    nesterov: bool
    weight_decay: float | None


@dataclass(frozen=True)
class ScheduleConfig:
    """Learning rate over time: linear warm-up, then a cosine to a fraction of its peak.

    A `final_fraction` of 1 keeps the rate constant after the warm-up.
    """

    warmup_epochs: float
    final_fraction: float


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes to each training picture; zero or false switches one off.

    `cached_views` is how many augmented views of each picture are drawn once and used again and
    again; null draws anew at each step.
    """

    horizontal_flip: bool
    vertical_flip: bool
    rotation_degrees: float
    shift_fraction: float
    zoom_fraction: float
    brightness: float
    contrast: float
    cached_views: int | None

    @property
    def changes_pictures(self) -> bool:
        """Whether any change is on."""
        return any(
            (self.horizontal_flip, self.vertical_flip, self.rotation_degrees, self.shift_fraction,
             self.zoom_fraction, self.brightness, self.contrast)
        )  # fmt: skip


@dataclass(frozen=True)
class FitConfig:
    """How long and how a trial trains and is measured."""

    epochs: int
    fidelity: int | None
    keep_state: bool
    early_stopping_patience: int | None
    precision: Precision
    jit_compile: bool
    deterministic: bool
    resume: bool
    cache_activations: bool
    eval_batch_size: int
    train_eval_limit: int
    evaluate_test: bool

    @property
    def last_epoch(self) -> int:
        """The epoch after which the trial ends at the latest."""
        return self.epochs if self.fidelity is None else self.fidelity


@dataclass(frozen=True)
class PrunerConfig:
    """When a trial is cut short because others of its study do better.

    `warmup_epochs`: epochs that every trial gets; the first rung of asha. `min_trials`: for
    median, trials that must have come as far. `reduction_factor`: asha keeps one in so many.
    """

    name: PrunerName
    warmup_epochs: int
    min_trials: int
    reduction_factor: int


@dataclass(frozen=True)
class ClaimConfig:
    """A statement that a study is to test.

    `says` is the statement for people. It means: raising the hyperparameter `raising`, all else
    equal, moves the outcome in this direction by at least `at_least`, in the outcome's unit. With
    `raising` null it means that the outcome itself, of the best configuration, lies above
    (up) or below (down) `at_least`.
    """

    says: str
    raising: str | None
    moves: ClaimOutcome
    direction: ClaimDirection
    at_least: float


@dataclass(frozen=True)
class StudyConfig:
    """The study that a trial belongs to, its number there, and the run that waits for it."""

    name: str
    question: str
    claims: list[ClaimConfig]
    trial: int | None
    run_id: str | None


@dataclass(frozen=True)
class TrackingConfig:
    """What MLflow keeps."""

    experiment: str
    keep_model: KeepModel
    system_metrics: bool


@dataclass(frozen=True)
class Config:
    """One full assignment of every hyperparameter, and the trial's surroundings."""

    data: DataConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    augmentation: AugmentationConfig
    fit: FitConfig
    pruner: PrunerConfig
    study: StudyConfig
    tracking: TrackingConfig
    seed: int


def schema_nodes() -> dict[tuple[str | None, str], DictConfig]:
    """What `conf/config.yaml` and `conf/optimizer/*.yaml` name in their defaults.

    Returns:
        A node for each (group, name); the group of the whole tree is None.
    """
    return {
        (None, "schema"): _mergeable(Config),
        ("optimizer", "adam_schema"): _mergeable(AdamConfig),
        ("optimizer", "adamw_schema"): _mergeable(AdamWConfig),
        ("optimizer", "sgd_schema"): _mergeable(SGDConfig),
    }


def _mergeable(schema: type) -> DictConfig:
    """A structured node that YAML may still fill: OmegaConf marks frozen classes read-only."""
    node: DictConfig = OmegaConf.structured(schema)
    OmegaConf.set_readonly(node, None)
    for field in dataclasses.fields(schema):
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            node[field.name] = _mergeable(field.type)
    return node
