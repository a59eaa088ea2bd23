"""What is known of a data set: its ages, its faces and their pictures, its faults."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from src.config.schema import DataConfig
from src.core.errors import UsageError
from src.data.audit import add_unusable_pictures, parse_label
from src.data.dataset import digest_of, list_faces
from src.data.fingerprint import near_duplicates
from src.data.inspection import inspect_all
from src.records.terms import neutral_target


@dataclass(frozen=True)
class Survey:
    """A data set, looked at.

    Attributes:
        ages: Of all rows whose age can be used, with or without a picture, years.
        faces: Usable faces: row, file_name, age, digest, split, and what `inspect_all` measures.
        findings: Every row that was dropped or is remarkable (see `audit.FINDING_COLUMNS`).
        look_alikes: Pairs of faces that show one photograph in different bytes: for each
            the row, file_name, age and split, with `_1` and `_2`; the widest in age first.
        num_rows: Rows that the layout lists.
        bad_fraction: Share of the rows that cannot be used.
        root: Folder that the file names are relative to.
    """

    ages: np.ndarray
    faces: pd.DataFrame
    findings: pd.DataFrame
    look_alikes: pd.DataFrame
    num_rows: int
    bad_fraction: float
    root: Path

    @property
    def has_pictures(self) -> bool:
        """Whether there is a face to look at; a table of labels alone has none."""
        return not self.faces.empty

    @property
    def digest(self) -> str:
        """The `data_digest` of trials on these faces; empty without pictures."""
        return digest_of(self.faces, "age") if self.has_pictures else ""

    def part(self, name: str) -> pd.DataFrame:
        """The faces of `train`, `val` or `test`."""
        return self.faces[self.faces["split"] == name]


def survey(data: DataConfig) -> Survey:
    """Audit the table, split it as a trial would, and look at every picture.

    Nothing that is wrong with the rows stops it: that is what it is there to tell.

    Raises:
        FileNotFoundError: If the table or the folder is missing.
        ValueError: If no row has an age.
        RuntimeError: If the cache cannot be written.
    """
    target = neutral_target()
    listing = list_faces(data, target)
    parsed = [parse_label(text, target) for text in listing.table["age_text"]]
    ages = np.array([age for age, reason, _ in parsed if not reason], np.float64)
    if not len(ages):
        raise UsageError(
            f"None of the {len(parsed)} rows has an age that can be read. "
            f"Received: data={data.layout} data.root={data.root}. "
            "Fix: data.columns.age=<its column>, or another layout data=…"
        )
    faces, findings = listing.faces, listing.findings
    pairs = pd.DataFrame()
    usable_fraction = listing.num_usable / len(listing.table)
    if len(faces):
        paths = (listing.root / name for name in faces["file_name"])
        measured, problems = inspect_all(
            dict(zip(faces["digest"], paths, strict=True)),
            data.max_pixels,
            Path(data.cache_dir) / "inspections",
        )
        num_drawn = len(faces)
        faces, findings = add_unusable_pictures(findings, faces, problems, target)
        usable_fraction *= len(faces) / num_drawn
        faces = faces.join(measured, on="digest")
        pairs = _name_pairs(faces, near_duplicates(measured["fingerprint"]))
    return Survey(
        ages, faces, findings, pairs, len(listing.table), 1 - usable_fraction, listing.root
    )


def _name_pairs(faces: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """A row for each pair, the widest in age first.

    Of faces that share their bytes the first stands for all.
    """
    columns = ["row", "file_name", "age", "split"]
    firsts = faces.sort_values("row").drop_duplicates("digest").set_index("digest")[columns]
    one, other = ([pair[side] for pair in pairs] for side in (0, 1))
    sides = [
        firsts.loc[one].add_suffix("_1").reset_index(drop=True),
        firsts.loc[other].add_suffix("_2").reset_index(drop=True),
    ]
    named = pd.concat(sides, axis=1)
    apart = (named["age_1"] - named["age_2"]).abs()
    order = apart.sort_values(ascending=False, kind="stable").index
    return named.loc[order].reset_index(drop=True)
