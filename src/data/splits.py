"""Splits of faces into training, validation and test parts."""

import hashlib

import numpy as np
import pandas as pd

from src.config.schema import SplitConfig, SplitMethod
from src.core.errors import UsageError

PARTS = ("train", "val", "test")


def assign_splits(faces: pd.DataFrame, split: SplitConfig, label: str) -> pd.Series:
    """Returns the part of each face: train, val or test.

    Byte-identical pictures are always in one part. The result depends on the faces and on
    `split.seed`, not on the order of files or rows (except for `notebook`, which is defined by
    it).

    Args:
        faces: With columns row, digest, official_split and that of the label; one row a face.
        split: Method, fractions and seed.
        label: Name of the label's column.

    Returns:
        Series of part names, aligned with `faces`.

    Raises:
        UsageError: If the official split is unusable.
    """
    in_order = faces.sort_values("row")
    match split.method:
        case SplitMethod.stratified:
            parts = _split_stratified(faces, split, label)
        case SplitMethod.notebook:  # as Keras's `validation_split`: the first rows validate
            parts = pd.Series("train", index=in_order.index)
            parts.iloc[: int(len(faces) * split.val_fraction)] = "val"
        case SplitMethod.official:
            parts = _read_official(faces)
    firsts = parts[in_order.index].groupby(in_order["digest"]).transform("first")
    return firsts.reindex(faces.index)


def refuse_empty_parts(parts: pd.Series, method: SplitMethod) -> None:
    """Checks that there are faces to train and to validate on.

    Raises:
        UsageError: If a part is empty.
    """
    for part in ("train", "val"):
        if not (parts == part).any():
            raise UsageError(
                f"The {part} part of the split is empty. "
                f"Received: data.split.method={method} on {len(parts)} usable faces. "
                "Fix: more faces (data.limit, data.num_images), another split, or other fractions"
            )


def _split_stratified(faces: pd.DataFrame, split: SplitConfig, label: str) -> pd.Series:
    """Samples systematically along the label: every range gives its share to every part.

    Distinct pictures are sorted by label, in a seeded random order among equals; a part gets a
    face each time its running total passes a whole number (Madow 1949).
    """
    line = faces.drop_duplicates("digest").copy()
    drawn = (f"{split.seed}:{digest}".encode() for digest in line["digest"])
    line["draw"] = [hashlib.sha256(each).hexdigest() for each in drawn]
    line = line.sort_values([label, "draw"])
    rng = np.random.default_rng(split.seed)
    is_test = _systematic_sample(len(line), split.test_fraction, rng.random())
    rest = ~is_test
    val_share = split.val_fraction / (1 - split.test_fraction)
    parts = np.where(is_test, "test", "train").astype(object)
    parts[np.flatnonzero(rest)[_systematic_sample(rest.sum(), val_share, rng.random())]] = "val"
    return faces["digest"].map(dict(zip(line["digest"], parts, strict=True)))


def _systematic_sample(count: int, fraction: float, start: float) -> np.ndarray:
    """Returns a mask that selects `fraction` of `count`, evenly spaced, with offset `start`."""
    totals = np.floor(np.arange(count + 1) * fraction + start + 1e-9)
    return np.diff(totals) > 0


def _read_official(faces: pd.DataFrame) -> pd.Series:
    unknown = sorted(set(faces["official_split"]) - set(PARTS))
    if unknown:
        raise UsageError(
            "The official split must say train, val or test for every face. "
            f"Received: {', '.join(repr(word) for word in unknown[:5])}. "
            "Fix: data.columns.split=<column that says so>, or data.split.method=stratified"
        )
    return faces["official_split"]
