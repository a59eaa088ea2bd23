"""The regressor, its optimizer and its runtime. The one door to Keras's building blocks."""

from src.model.backbone import fetch_weights
from src.model.optimizer import build_optimizer
from src.model.regressor import build_regressor, inference_model
from src.model.runtime import set_up

__all__ = ["build_optimizer", "build_regressor", "fetch_weights", "inference_model", "set_up"]
