"""The regressor, its optimizer and the settings of Keras."""

from src.model.backbone import fetch_weights
from src.model.initial import initialise
from src.model.optimizer import LiveCosineDecay, build_optimizer, learning_rate
from src.model.regressor import build_regressor, divide, inference_model
from src.model.runtime import set_up

__all__ = [
    "LiveCosineDecay",
    "build_optimizer",
    "build_regressor",
    "divide",
    "fetch_weights",
    "inference_model",
    "initialise",
    "learning_rate",
    "set_up",
]
