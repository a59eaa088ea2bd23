"""Survey of a data set: labels, faces with their pictures, and faults."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from src.config.schema import DataConfig, TargetConfig
from src.core.errors import UsageError
from src.data.audit import add_unusable_pictures, parse_label
from src.data.dataset import digest_of, list_faces
from src.data.fingerprint import near_duplicates
from src.data.inspection import inspect_all


@dataclass(frozen=True)
class Survey:
    """A data set with the measured properties of its pictures.

    Attributes:
        data: Its configuration.
        target: The predicted quantity.
        labels: Of all rows whose label can be used, with or without a picture.
        faces: Usable faces: row, file_name, label, digest, split, and the columns of `inspect_all`.
        findings: Every row that was dropped or is remarkable: row, file_name, label_text, reason,
            detail and action.
        near_duplicates: Pairs of faces that show one photograph in different bytes: row, file_name,
            label and split of each, with `_1` and `_2`; the largest difference of labels first.
        num_rows: Number of rows that the layout lists.
        bad_fraction: Share of the rows that cannot be used.
        root: Folder that the file names are relative to.
    """

    data: DataConfig
    target: TargetConfig
    labels: np.ndarray
    faces: pd.DataFrame
    findings: pd.DataFrame
    near_duplicates: pd.DataFrame
    num_rows: int
    bad_fraction: float
    root: Path

    @property
    def has_pictures(self) -> bool:
        """Whether there is a usable face; a table of labels alone has none."""
        return not self.faces.empty

    @property
    def digest(self) -> str:
        """The `data_digest` of trials on these faces; empty without pictures."""
        return digest_of(self.faces, "label") if self.has_pictures else ""

    @property
    def conflicts(self) -> pd.DataFrame:
        """Lowest and highest label of each picture with several labels, by its rows."""
        rows = self.findings.query("reason == 'conflicting_duplicate'")
        rows = rows.assign(label=rows["label_text"].astype(float))
        table = rows.groupby("detail").agg(
            file_name=("file_name", "first"), lowest=("label", "min"), highest=("label", "max")
        )
        table["difference"] = table["highest"] - table["lowest"]
        return table.sort_values("difference", ascending=False, kind="stable")

    def part(self, name: str) -> pd.DataFrame:
        """Returns the faces of `train`, `val` or `test`."""
        return self.faces[self.faces["split"] == name]


def survey(data: DataConfig, target: TargetConfig) -> Survey:
    """Audits a table of labels, splits it as a trial would, and measures every picture.

    Faulty rows are listed and never stop the survey.

    Raises:
        MissingFileError: If the table or the folder is missing.
        UsageError: If no row has a usable label.
        EnvironmentFaultError: If the cache cannot be written.
    """
    listing = list_faces(data, target)
    parsed = [parse_label(text, target) for text in listing.table[target.text_column]]
    labels = np.array([label for label, reason, _ in parsed if not reason], np.float64)
    if not len(labels):
        raise UsageError(
            f"None of the {len(parsed)} rows has a usable {target.name}. "
            f"Received: data={data.layout} data.root={data.root}. "
            "Fix: data.columns.age=<its column>, or another layout data=…"
        )
    faces, findings = listing.faces, listing.findings
    pairs = pd.DataFrame()
    usable_fraction = listing.num_usable / len(listing.table)
    names = {target.column: "label", target.text_column: "label_text"}
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
        faces = faces.rename(columns=names).join(measured, on="digest")
        pairs = _name_pairs(faces, near_duplicates(measured["fingerprint"]))
    return Survey(
        data=data,
        target=target,
        labels=labels,
        faces=faces,
        findings=findings.rename(columns=names),
        near_duplicates=pairs,
        num_rows=len(listing.table),
        bad_fraction=1 - usable_fraction,
        root=listing.root,
    )


def _name_pairs(faces: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Returns a row for each pair, the largest difference of labels first.

    The first of several faces with the same bytes represents them.
    """
    columns = ["row", "file_name", "label", "split"]
    firsts = faces.sort_values("row").drop_duplicates("digest").set_index("digest")[columns]
    sides = [
        firsts.loc[[pair[side] for pair in pairs]].add_suffix(f"_{side + 1}").reset_index(drop=True)
        for side in (0, 1)
    ]
    named = pd.concat(sides, axis=1)
    difference = (named["label_1"] - named["label_2"]).abs()
    order = difference.sort_values(ascending=False, kind="stable").index
    return named.loc[order].reset_index(drop=True)
