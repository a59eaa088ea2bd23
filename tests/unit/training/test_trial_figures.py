"""Figures of a trial."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from src.config import TargetConfig
from src.records.terms import neutral_target
from src.training import figures
from src.training.history import History

AGE = neutral_target()
SIZE = TargetConfig("size", "mm", [0.0, 300.0], [[0, 99], [100, 300]])


class Guesses:
    """The attributes of `Measured`, without a data set."""

    def __init__(self, num_faces: int, largest: float) -> None:
        rng = np.random.default_rng(0)
        labels = rng.uniform(1, 90, num_faces).round().astype(np.float32)
        self.part = pd.Series({"labels": labels})
        self.predictions = (labels + rng.normal(0, 8, num_faces)) * largest / 90


def history(num_epochs: int, scale: float) -> History:
    return History(
        "r",
        tuple(
            {"epoch": n, "mae/train": scale * 12 / n**0.5, "mae/val": scale * (5 + 9 / n**0.5)}
            for n in range(1, num_epochs + 1)
        ),
    )


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def test_each_call_returns_a_figure_of_its_own() -> None:
    first = figures.learning_curve(history(20, 1), "trial 1", AGE)
    before = pixels(first)
    second = figures.learning_curve(history(3, 1e4), "trial 22", AGE)
    assert first is not second
    np.testing.assert_array_equal(pixels(first), before)
    assert not np.array_equal(pixels(second), before)


@pytest.mark.parametrize(("num_faces", "largest"), [(900, 90), (20, 4000), (5, 9), (1, 9)])
def test_predictions_of_any_size_are_drawn(num_faces, largest) -> None:
    figure = figures.predicted_against_true(Guesses(num_faces, largest), "trial 1", AGE)
    assert pixels(figure).std() > 0


def test_words_of_figures_are_those_of_the_target() -> None:
    (axes,) = figures.learning_curve(history(3, 1), "trial 1", SIZE).axes
    texts = [axes.get_ylabel(), *(text.get_text() for text in axes.get_legend().get_texts())]
    assert texts[0] == "MAE (mm)"
    (axes,) = figures.predicted_against_true(Guesses(30, 90), "trial 1", SIZE).axes
    texts += [axes.get_xlabel(), axes.get_ylabel()]
    assert texts[-2:] == ["size (mm)", "predicted size (mm)"]
    assert not [text for text in texts if "years" in text or " age" in text]
