"""Data set: audited, split and decoded."""

import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from src.config.schema import DataConfig, Layout, TargetConfig
from src.core.console import stderr
from src.core.errors import UsageError
from src.core.names import AUDIT_FILE
from src.data import audit, cache, sample
from src.data.faults import disk_faults_explained
from src.data.splits import PARTS, assign_splits, refuse_empty_parts
from src.data.table import read_table


@dataclass(frozen=True)
class Part:
    """The faces of one part of the split, or a selection of them.

    Attributes:
        faces: One row for each face: row, file_name, label (in the target's column), digest,
            split, image_index.
        labels: float32 of shape `(n,)`.
        pixels: The whole cache, uint8 of shape `(m, size, size, 3)`.
    """

    faces: pd.DataFrame
    labels: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def image_indices(self) -> np.ndarray:
        """Position of each face's picture in `pixels`, shape `(n,)`."""
        return self.faces["image_index"].to_numpy()

    def inputs(self, indices: np.ndarray) -> np.ndarray:
        """Returns copies of the pictures of these faces, uint8 `(k, size, size, 3)`."""
        return self.pixels[self.image_indices[indices]]

    def subset(self, count: int, seed: int) -> Self:
        """Returns at most `count` faces, drawn at random by `seed`, in their order here."""
        if count >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=False)
        chosen.sort()
        faces = self.faces.iloc[chosen].reset_index(drop=True)
        return replace(self, faces=faces, labels=self.labels[chosen])


@dataclass(frozen=True)
class Dataset:
    """Usable faces, their pixels, and the findings about the others.

    Attributes:
        faces: As in `Part`, all parts, ordered by digest.
        pixels: As in `Part`.
        findings: Every row that was dropped or is remarkable, see `audit.audit`.
        root: Folder that the file names are relative to.
        target: The predicted quantity.
    """

    faces: pd.DataFrame
    pixels: np.ndarray
    findings: pd.DataFrame
    root: Path
    target: TargetConfig

    def part(self, name: str) -> Part:
        """Returns the faces of `train`, `val` or `test`."""
        faces = self.faces[self.faces["split"] == name].reset_index(drop=True)
        return Part(faces, faces[self.target.column].to_numpy(np.float32), self.pixels)

    @cached_property
    def digest(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of all contents, labels and parts.

        Independent of names, paths and order: equal digests mean the same faces in the same
        parts, so errors can be compared face by face.
        """
        return digest_of(self.faces, self.target.column)


@dataclass(frozen=True)
class Listing:
    """A data set before any picture is decoded.

    Attributes:
        table: Every row that the layout lists, see `table.read_table`.
        faces: The usable rows, within `data.limit`: row, file_name, label, digest, split; ordered
            by digest.
        findings: As in `Dataset`.
        num_usable: Number of usable rows without `data.limit`.
        root: As in `Dataset`.
    """

    table: pd.DataFrame
    faces: pd.DataFrame
    findings: pd.DataFrame
    num_usable: int
    root: Path


def prepare(data: DataConfig, target: TargetConfig) -> Dataset:
    """Reads, audits, splits, limits and decodes a data set.

    Raises:
        MissingFileError: If the table or the folder is missing.
        UsageError: If too many rows are unusable, or a part of the split is empty.
        EnvironmentFaultError: If the cache cannot be written.
    """
    listing = list_faces(data, target)
    faces, root = listing.faces, listing.root
    usable_fraction = listing.num_usable / len(listing.table)
    if faces.empty:
        _stop_if_too_bad(usable_fraction, listing.findings, data)
    paths = (root / name for name in faces["file_name"])
    files = dict(zip(faces["digest"], paths, strict=True))
    pixels, positions, problems = cache.open_or_build(files, data)
    faces, findings = audit.add_unusable_pictures(listing.findings, faces, problems, target)
    usable_fraction *= len(faces) / len(listing.faces)
    _stop_if_too_bad(usable_fraction, findings, data)
    refuse_empty_parts(faces["split"], data.split.method)
    faces["image_index"] = faces["digest"].map(positions)
    sizes = faces["split"].value_counts()
    parts = ", ".join(f"{sizes[name]} {name}" for name in PARTS if name in sizes)
    stderr.print(f"{len(faces)} faces of {len(listing.table)} rows: {parts}")
    for line in audit.summarise(findings):
        stderr.print(f"  {line}")
    return Dataset(faces, pixels, findings, root, target)


def list_faces(data: DataConfig, target: TargetConfig) -> Listing:
    """Reads, audits, splits and limits a data set, without decoding a picture.

    Raises:
        MissingFileError: If the table or the folder is missing.
        UsageError: If the table cannot be read.
        EnvironmentFaultError: If the cache folder cannot be made.
    """
    cache_dir = Path(data.cache_dir)
    with disk_faults_explained("The cache folder cannot be made", f"data.cache_dir={cache_dir}"):
        cache_dir.mkdir(parents=True, exist_ok=True)
    if data.layout is Layout.sample:
        root = sample.draw_data_set(data.num_images, cache_dir / "sample")
    else:
        root = Path(data.root or "")
    table = read_table(data, root, target.text_column)
    faces, findings = audit.audit(table, root, data.conflicting_duplicates, target)
    num_usable = len(faces)
    if num_usable:
        faces["split"] = assign_splits(faces, data.split, target.column)
    if data.limit is not None:
        faces = _draw_stratified(faces, data.limit, data.split.seed, target.column)
    return Listing(table, faces, findings, num_usable, root)


def digest_of(faces: pd.DataFrame, label: str) -> str:
    """Returns the digest of faces whose labels are in the column `label`; see `Dataset.digest`."""
    rows = zip(faces["digest"], faces[label], faces["split"], strict=True)
    lines = sorted(f"{digest} {value:g} {part}" for digest, value, part in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _draw_stratified(faces: pd.DataFrame, limit: int, seed: int, label: str) -> pd.DataFrame:
    """Returns `limit` faces, evenly spaced through the labels of each part."""
    if limit >= len(faces):
        return faces
    order = faces.sample(frac=1, random_state=seed).sort_values(["split", label], kind="stable")
    chosen = (np.arange(limit) + 0.5) / limit * len(faces)
    return faces.loc[sorted(order.index[chosen.astype(int)])].reset_index(drop=True)


def _stop_if_too_bad(usable_fraction: float, findings: pd.DataFrame, data: DataConfig) -> None:
    bad_fraction = 1 - usable_fraction
    if usable_fraction > 0 and bad_fraction <= data.max_bad_fraction + 1e-9:
        return
    path = Path(data.cache_dir) / AUDIT_FILE
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
