"""A data set that is ready to train on: audited, split, decoded."""

import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from src.config.schema import DataConfig, Layout
from src.core.console import stderr
from src.core.errors import EnvironmentFaultError, UsageError
from src.data import audit, cache, sample
from src.data.splits import assign_splits, refuse_empty_parts
from src.data.table import read_table


@dataclass(frozen=True)
class Part:
    """The faces of one part of the split, or a selection of them.

    Attributes:
        faces: One row for each face: row, file_name, age, digest, split, image_index.
        ages: float32 of shape `(n,)`, years.
        pixels: The whole cache, uint8 of shape `(m, size, size, 3)`.
    """

    faces: pd.DataFrame
    ages: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.faces)

    def images(self, places: np.ndarray) -> np.ndarray:
        """Copies of the pictures at these places of the part, uint8 `(k, size, size, 3)`."""
        return self.pixels[self.faces["image_index"].to_numpy()[places]]

    def inputs(self, places: np.ndarray) -> np.ndarray:
        """What a model gets for these places: here the pictures."""
        return self.images(places)

    def subset(self, count: int, seed: int) -> Self:
        """At most `count` faces, drawn at random by `seed`, in their order here."""
        if count >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=False)
        chosen.sort()
        faces = self.faces.iloc[chosen].reset_index(drop=True)
        return replace(self, faces=faces, ages=self.ages[chosen])


@dataclass(frozen=True)
class Dataset:
    """Usable faces, their pixels, and the account of the others.

    Attributes:
        faces: As in `Part`, all parts, ordered by digest.
        pixels: As in `Part`.
        findings: Every row that was dropped or is remarkable (see `audit.FINDING_COLUMNS`).
        num_rows: Rows that the layout listed.
        root: Folder that the file names are relative to.
    """

    faces: pd.DataFrame
    pixels: np.ndarray
    findings: pd.DataFrame
    num_rows: int
    root: Path

    def part(self, name: str) -> Part:
        """The faces of `train`, `val` or `test`."""
        faces = self.faces[self.faces["split"] == name].reset_index(drop=True)
        return Part(faces, faces["age"].to_numpy(np.float32), self.pixels)

    @cached_property
    def digest(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of all contents, ages and parts.

        Independent of names, paths and order: equal digests mean the same faces in the same
        parts, so errors can be compared face by face.
        """
        return digest_of(self.faces)


@dataclass(frozen=True)
class Listing:
    """A data set before any picture is decoded.

    Attributes:
        table: Every row that the layout lists (see `table.COLUMNS`).
        faces: Those that can be used so far, within `data.limit`: row, file_name, age, digest,
            split; ordered by digest.
        findings: As in `Dataset`.
        num_usable: How many could be used without `data.limit`.
        root: As in `Dataset`.
    """

    table: pd.DataFrame
    faces: pd.DataFrame
    findings: pd.DataFrame
    num_usable: int
    root: Path


def prepare(data: DataConfig) -> Dataset:
    """Read, audit, split, limit and decode, as the configuration says.

    Raises:
        FileNotFoundError: If the table or the folder is missing.
        ValueError: If too many rows are unusable, or a part of the split is empty.
        RuntimeError: If the cache cannot be written.
    """
    listing = list_faces(data)
    faces, root = listing.faces, listing.root
    usable_fraction = listing.num_usable / len(listing.table)
    if faces.empty:
        _stop_if_too_bad(usable_fraction, listing.findings, data)
    paths = (root / name for name in faces["file_name"])
    files = dict(zip(faces["digest"], paths, strict=True))
    decoded = cache.open_or_build(
        files, data.decoder, data.image_size, data.max_pixels, Path(data.cache_dir) / "pictures"
    )
    num_drawn = len(faces)
    faces, findings = audit.add_unusable_pictures(listing.findings, faces, decoded.problems)
    usable_fraction *= len(faces) / num_drawn
    _stop_if_too_bad(usable_fraction, findings, data)
    refuse_empty_parts(faces["split"], data.split.method)
    faces["image_index"] = faces["digest"].map(decoded.index)
    dataset = Dataset(faces, decoded.images, findings, len(listing.table), root)
    _report(dataset)
    return dataset


def list_faces(data: DataConfig) -> Listing:
    """Read, audit, split and limit, as the configuration says; the pictures stay closed.

    Raises:
        FileNotFoundError: If the table or the folder is missing.
        ValueError: If the table cannot be read.
        RuntimeError: If the cache folder cannot be made.
    """
    cache_dir = Path(data.cache_dir)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFaultError(
            f"The cache folder cannot be made: {error.strerror}. "
            f"Received: data.cache_dir={data.cache_dir}. Fix: data.cache_dir=<another folder>"
        ) from error
    if data.layout is Layout.sample:
        root = sample.draw_data_set(data.num_images, cache_dir / "sample")
    else:
        root = Path(data.root or "")
    table = read_table(data, root)
    faces, findings = audit.audit(table, root, data.conflicting_duplicates)
    num_usable = len(faces)
    if num_usable:
        faces["split"] = assign_splits(faces, data.split)
    if data.limit is not None:
        faces = _draw_stratified(faces, data.limit, data.split.seed)
    return Listing(table, faces, findings, num_usable, root)


def digest_of(faces: pd.DataFrame) -> str:
    """See `Dataset.digest`."""
    lines = sorted(f"{face.digest} {face.age:g} {face.split}" for face in faces.itertuples())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _draw_stratified(faces: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """About `limit` faces, evenly spaced through each part's ages, twins together."""
    if limit >= len(faces):
        return faces
    order = faces.sample(frac=1, random_state=seed).sort_values(["split", "age"], kind="stable")
    places = (np.arange(limit) + 0.5) / limit * len(faces)
    return faces.loc[sorted(order.index[places.astype(int)])].reset_index(drop=True)


def _stop_if_too_bad(usable_fraction: float, findings: pd.DataFrame, data: DataConfig) -> None:
    bad_fraction = 1 - usable_fraction
    if usable_fraction > 0 and bad_fraction <= data.max_bad_fraction + 1e-9:
        return
    path = Path(data.cache_dir) / "audit.csv"
    findings.to_csv(path, index=False)
    dropped = findings[findings["action"] == "dropped"]
    reasons = "".join(f"\n  {line}" for line in audit.summarise(dropped))
    if usable_fraction == 0:
        raise UsageError(
            f"None of the rows can be used:{reasons}\n  every row is listed in {path}\n"
            f"Received: data={data.layout} data.root={data.root}. Fix: the folder, the layout "
            "data=…, or data.labels_file, data.image_dir and data.columns"
        )
    enough = min(1, math.ceil(bad_fraction * 100 - 1e-7) / 100)
    raise UsageError(
        f"{bad_fraction:.1%} of the rows cannot be used, more than data.max_bad_fraction allows:"
        f"{reasons}\n  every row is listed in {path}\n"
        f"Received: data.max_bad_fraction={data.max_bad_fraction:g}. "
        f"Fix: mend the rows, or data.max_bad_fraction={enough:g}"
    )


def _report(dataset: Dataset) -> None:
    sizes = dataset.faces["split"].value_counts()
    parts = ", ".join(f"{sizes[name]} {name}" for name in ("train", "val", "test") if name in sizes)
    stderr.print(f"{len(dataset.faces)} faces of {dataset.num_rows} rows: {parts}")
    for line in audit.summarise(dataset.findings):
        stderr.print(f"  {line}")
