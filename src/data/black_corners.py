"""Detection of rotated pictures whose corners were filled with black."""

from collections.abc import Iterator

import numpy as np

# Levels of the brightest channel; JPEG turns 0 into a few more, most of all near an edge.
_BLACK, _PURE_BLACK = 12, 8  # highest level at the wedge's edge, and inside it
_LIT = 40  # level that the picture must reach 3 px beyond that edge
_STRAIGHT = 1.2  # px that a straight edge may be off


def has_black_corner(pixels: np.ndarray) -> bool:
    """Returns whether a corner is cut off by a straight, slanting edge, with only black behind it.

    From each side of the picture the black pixels of every line are counted up to the first
    lit one. A rotation makes these counts rise or fall steadily towards a corner: a straight line
    through at least a tenth of the side, slanted by 3 px or more (a black bar is not slanted),
    pure black on one side and lit on the other. Dark hair and dark rooms are neither straight
    nor pure. Of 188 that it finds among 7,521 UTKFace crops some nine in ten are real, by eye;
    wedges that run into dark hair are missed.
    """
    brightest = pixels.max(axis=2)
    return any(_has_wedge(np.rot90(brightest, turns)) for turns in range(4))


def _has_wedge(brightest: np.ndarray) -> bool:
    """Returns whether the left side has a wedge of black at its upper or lower end."""
    height, width = brightest.shape
    dark = brightest <= _BLACK
    black = np.where(dark.all(axis=1), width, np.argmin(dark, axis=1))  # px in each line
    shortest = max(8, height / 10)
    for start, stop in _stretches((black > 0) & (black < width)):
        # Above or below the wedge there are no lines, or only lines that are black throughout.
        at_an_end = (black[:start] == width).all() or (black[stop:] == width).all()
        if stop - start < shortest or not at_an_end:
            continue
        lines, counts = np.arange(start, stop), black[start:stop]
        lag = (stop - start) // 3
        # The median is robust against hair that sticks out.
        slope = np.median((counts[lag:] - counts[:-lag]) / lag)
        edge = slope * lines + np.median(counts - slope * lines)
        straight = np.abs(counts - edge) <= _STRAIGHT
        length = max((b - a for a, b in _stretches(straight)), default=0)
        if length < shortest or straight.mean() < 0.7 or abs(slope) * length < 3:
            continue
        columns = np.clip(np.round(edge).astype(int), 0, width - 1)
        if _is_pure(brightest, lines[straight], columns[straight]) and (
            np.median(brightest[lines, np.minimum(columns + 3, width - 1)][straight]) >= _LIT
        ):
            return True
    return False


def _is_pure(brightest: np.ndarray, lines: np.ndarray, edges: np.ndarray) -> bool:
    """Returns whether all is black up to 5 px before the edge (at least the first pixel)."""
    columns = np.arange(brightest.shape[1])
    inside = columns < np.maximum(edges - 5, 1)[:, None]
    return bool(np.mean(brightest[lines][inside] > _PURE_BLACK) <= 0.02)


def _stretches(flags: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yields start and stop of each run of True."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    yield from zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)
