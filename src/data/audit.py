"""Audit: which rows of a table are usable, and the reason for each that is not."""

import hashlib
import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from src.config.schema import Conflict, TargetConfig
from src.data.threads import in_threads


def audit(
    table: pd.DataFrame, root: Path, conflicting_duplicates: Conflict, target: TargetConfig
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Checks the label, the path and the bytes of the file of each row of a raw table.

    Pixels are checked when the pictures that are needed are decoded.

    Returns:
        The usable faces: row, file_name, label (in the target's column), official_split, digest
        (SHA-256 of the bytes), ordered by digest, so that later steps do not depend on the order
        of files. And the findings, in the table's order, at most one for each row: row,
        file_name, label as written, reason, detail, action (`dropped` or `kept`).
    """
    inside = root.resolve()

    def judge(record: dict[Hashable, Any]) -> dict[Hashable, Any]:
        label, reason, detail = parse_label(record[target.text_column], target)
        path = root / record["file_name"]
        digest = ""
        if record["malformed"]:
            reason, detail = "malformed_row", record["malformed"]
        elif not _is_inside(path, inside):
            reason, detail = "outside_root", record["file_name"]
        elif not reason:
            digest, reason, detail = _hash_file(path)
        return record | {target.column: label, "digest": digest, "reason": reason, "detail": detail}

    found = pd.DataFrame(in_threads(judge, table.to_dict("records"), "reading faces"))
    bad = found["reason"] != ""
    faces = found[~bad].sort_values(["digest", "row"], ignore_index=True)
    repeated = faces[faces.duplicated("digest", keep=False)]
    groups = repeated.groupby("digest")
    conflicts = groups[target.column].transform("nunique") > 1
    rows = groups["row"].agg(lambda rows: "rows " + ", ".join(map(str, rows)))
    drops = conflicts & (conflicting_duplicates is Conflict.drop)
    repeated = repeated.assign(
        reason=np.where(conflicts, "conflicting_duplicate", "duplicate"),
        detail=repeated["digest"].map(rows),
        action=np.where(drops, "dropped", "kept"),
    )
    findings = pd.concat([found[bad].assign(action="dropped"), repeated])
    faces = faces.drop(repeated.index[drops])
    faces = faces[["row", "file_name", target.column, "official_split", "digest"]]
    return faces.reset_index(drop=True), _in_order(findings, target)


def add_unusable_pictures(
    findings: pd.DataFrame,
    faces: pd.DataFrame,
    problems: dict[str, tuple[str, str]],
    target: TargetConfig,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drops the faces whose pictures could not be decoded, and lists them.

    Args:
        findings: The audit so far.
        faces: Usable faces so far.
        problems: Reason and detail by digest.
        target: The predicted quantity.

    Returns:
        The remaining faces, and all findings.
    """
    broken = faces[faces["digest"].isin(list(problems))]
    if broken.empty:
        return faces, findings
    labels = {target.text_column: broken[target.column].map("{:g}".format)}
    new = broken.assign(**labels, action="dropped")
    new[["reason", "detail"]] = broken["digest"].map(problems).tolist()
    older = findings[~findings["row"].isin(broken["row"])]
    faces = faces.drop(broken.index).reset_index(drop=True)
    return faces, _in_order(pd.concat([older, new]), target)


def summarise(findings: pd.DataFrame) -> list[str]:
    """Returns a line a reason, most frequent first: `12 dropped: missing_file (row 3, …)`."""
    groups = findings.groupby(["reason", "action"], sort=False)
    lines = []
    for (reason, action), group in sorted(groups, key=lambda item: -len(item[1])):
        rows = ", ".join(str(row) for row in group["row"].head(3))
        more = ", …" if len(group) > 3 else ""
        lines.append(f"{len(group)} {action}: {reason} (row {rows}{more})")
    return lines


def parse_label(text: str, target: TargetConfig) -> tuple[float, str, str]:
    """Returns a label as a number, and reason and detail if it is unusable."""
    word = text.strip()
    if word.lower() in ("", "na", "n/a", "nan", "none", "null"):
        return math.nan, f"{target.column}_missing", ""
    try:
        label = float(word.replace("_", "?"))  # Python reads 1_0 as 10
    except ValueError:
        return math.nan, f"{target.column}_not_a_number", repr(text)
    low, high = target.range
    if not low <= label <= high:
        detail = f"{word} is outside {low:g}–{high:g} {target.unit}"
        return label, f"{target.column}_out_of_range", detail
    return label, "", ""


def _is_inside(path: Path, root: Path) -> bool:
    """Returns whether the file, links followed, is below the resolved root."""
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, ValueError, RuntimeError):  # a NUL byte, a name too long, a ring of links
        return False


def _hash_file(path: Path) -> tuple[str, str, str]:
    try:
        if path.exists() and not path.is_file():  # reading a pipe would never end
            return "", "unreadable", "not a regular file"
        content = path.read_bytes()
    except FileNotFoundError:
        return "", "missing_file", ""
    except OSError as error:
        return "", "unreadable", error.strerror or type(error).__name__
    if not content:
        return "", "empty_file", "0 bytes"
    return hashlib.sha256(content).hexdigest(), "", ""


def _in_order(findings: pd.DataFrame, target: TargetConfig) -> pd.DataFrame:
    columns = ["row", "file_name", target.text_column, "reason", "detail", "action"]
    return findings[columns].sort_values("row", ignore_index=True)
