"""Dealing faces to training, validation and test."""

import hashlib

import numpy as np
import pandas as pd

from src.config.schema import SplitConfig, SplitMethod
from src.core.errors import UsageError

PARTS = ("train", "val", "test")


def assign_splits(faces: pd.DataFrame, split: SplitConfig) -> pd.Series:
    """The part of each face: train, val or test.

    Byte-identical pictures always land in one part. The result depends on the faces and on
    `split.seed`, not on the order of files or rows (but for `notebook`, which is defined by it).

    Args:
        faces: With columns row, age, digest and official_split; one row for each face.
        split: Method, fractions and seed.

    Returns:
        Series of part names, aligned with `faces`.

    Raises:
        UsageError: If the official split is unusable.
    """
    match split.method:
        case SplitMethod.stratified:
            parts = _deal_stratified(faces, split)
        case SplitMethod.notebook:
            parts = _first_rows_validate(faces, split.val_fraction)
        case SplitMethod.official:
            parts = _read_official(faces)
    in_order = faces.sort_values("row")
    firsts = parts[in_order.index].groupby(in_order["digest"]).transform("first")
    return firsts.reindex(faces.index)


def refuse_empty_parts(parts: pd.Series, method: SplitMethod) -> None:
    """Check that there is something to train and to validate on.

    Raises:
        UsageError: If there is not.
    """
    for part in ("train", "val"):
        if not (parts == part).any():
            raise UsageError(
                f"The {part} part of the split is empty. "
                f"Received: data.split.method={method} on {len(parts)} usable faces. "
                "Fix: more faces (data.limit, data.num_images), another split, or other fractions"
            )


def _deal_stratified(faces: pd.DataFrame, split: SplitConfig) -> pd.Series:
    """Systematic sampling along age: every age range gives its share to every part.

    Distinct pictures are lined up by age, in a seeded random order among equals; walking down
    the line, a part gets a face each time its running total passes a whole number (Madow 1949).
    """
    line = faces.drop_duplicates("digest").copy()
    line["draw"] = [_draw(split.seed, digest) for digest in line["digest"]]
    line = line.sort_values(["age", "draw"])
    rng = np.random.default_rng(split.seed)
    is_test = _systematic_sample(len(line), split.test_fraction, rng.random())
    rest = ~is_test
    val_share = split.val_fraction / (1 - split.test_fraction)
    parts = np.where(is_test, "test", "train").astype(object)
    parts[np.flatnonzero(rest)[_systematic_sample(rest.sum(), val_share, rng.random())]] = "val"
    return faces["digest"].map(dict(zip(line["digest"], parts, strict=True)))


def _systematic_sample(count: int, fraction: float, start: float) -> np.ndarray:
    """Boolean mask that picks `fraction` of `count` places, evenly spaced, offset `start`."""
    totals = np.floor(np.arange(count + 1) * fraction + start + 1e-9)
    return np.diff(totals) > 0


def _draw(seed: int, digest: str) -> str:
    return hashlib.sha256(f"{seed}:{digest}".encode()).hexdigest()


def _first_rows_validate(faces: pd.DataFrame, fraction: float) -> pd.Series:
    """Keras's `validation_split`: the first rows validate, in the order of the table."""
    in_order = faces.sort_values("row")
    num_val = int(len(faces) * fraction)
    parts = ["val"] * num_val + ["train"] * (len(faces) - num_val)
    return pd.Series(parts, index=in_order.index)


def _read_official(faces: pd.DataFrame) -> pd.Series:
    unknown = sorted(set(faces["official_split"]) - set(PARTS))
    if unknown:
        raise UsageError(
            "The official split must say train, val or test for every face. "
            f"Received: {', '.join(repr(word) for word in unknown[:5])}. "
            "Fix: data.columns.split=<column that says so>, or data.split.method=stratified"
        )
    return faces["official_split"]
