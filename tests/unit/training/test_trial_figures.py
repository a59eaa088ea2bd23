"""Pictures of a trial that are drawn into axes which earlier ones were drawn into."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from src.training import figures
from src.training.history import History


class Guesses:
    """What `Measured` has, without a data set."""

    def __init__(self, num_faces: int, largest: float) -> None:
        rng = np.random.default_rng(0)
        ages = rng.uniform(1, 90, num_faces).round().astype(np.float32)
        self.part = pd.Series({"ages": ages})
        self.predictions = (ages + rng.normal(0, 8, num_faces)) * largest / 90


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


DRAWN = {
    "curve": [lambda: figures.learning_curve(history(20, 1), "trial 1"),
              lambda: figures.learning_curve(history(3, 1e4), "trial 22"),
              lambda: figures.learning_curve(history(1, 0.1), "")],
    "guesses": [lambda: figures.predicted_against_true(Guesses(900, 90), "trial 1"),
                lambda: figures.predicted_against_true(Guesses(20, 4000), "trial 22"),
                lambda: figures.predicted_against_true(Guesses(5, 9), "")],
}  # fmt: skip


@pytest.mark.parametrize("kind", DRAWN)
def test_picture_shows_nothing_of_those_before_it(kind: str) -> None:
    figures._axes.cache_clear()
    first = []
    for draw in DRAWN[kind]:
        first.append(pixels(draw()))
        figures._axes.cache_clear()
    again = [pixels(draw()) for draw in DRAWN[kind]]
    for alone, after_others in zip(first, again, strict=True):
        np.testing.assert_array_equal(alone, after_others)
    assert not np.array_equal(again[0], again[1])


@pytest.mark.parametrize("draw", [draw for kind in DRAWN.values() for draw in kind])
def test_layout_is_matplotlibs_own(draw) -> None:
    """Constrained layout, worked out by Matplotlib, moves no edge by more than two points."""
    figure = draw()
    pixels(figure)
    (axes,) = figure.axes
    ours = axes.get_position().extents * np.tile(figure.get_size_inches() * 72, 2)
    figure.set_layout_engine("constrained")
    try:
        pixels(figure)
        theirs = axes.get_position().extents * np.tile(figure.get_size_inches() * 72, 2)
    finally:
        figure.set_layout_engine("none")
        figures._axes.cache_clear()
    assert ours == pytest.approx(theirs, abs=2)


def test_picture_that_is_kept_is_the_one_that_savefig_would_keep() -> None:
    figure = figures.learning_curve(history(20, 1), "trial 1")
    stream = io.BytesIO()
    figure.savefig(stream, format="raw", dpi=120)
    figure.set_dpi(120)
    drawn = pixels(figure)
    saved = np.frombuffer(stream.getvalue(), np.uint8).reshape(drawn.shape)
    np.testing.assert_array_equal(drawn, saved)
