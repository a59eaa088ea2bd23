"""Which rows of a table can be used, and why the others cannot."""

import functools
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pandas as pd

from src.config.schema import Conflict
from src.core.console import progress

MIN_AGE, MAX_AGE = 0.0, 120.0  # years; the oldest verified person reached 122

_NUM_TRIED, _FAST = 64, 0.5e-3  # files, s: one takes 0.06 ms from the system's memory

_Record = dict[str, Any]

FINDING_COLUMNS = ("row", "file_name", "age_text", "reason", "detail", "action")
"""Columns of an audit: where, what, and whether the row was `dropped` or `kept`."""


def audit(
    table: pd.DataFrame, root: Path, conflicting_duplicates: Conflict
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge every row of a raw table by its age, its path and its file's bytes.

    Pixels are judged later, when the pictures that are really needed are decoded.

    Returns:
        The usable faces: row, file_name, age (years), official_split, digest (SHA-256 of the
        bytes), ordered by digest so that nothing below depends on the order of files. And the
        findings, with `FINDING_COLUMNS`, in the table's order: at most one for each row.
    """
    records = cast(list[_Record], table.to_dict("records"))
    inside = root.resolve()
    resolved = functools.cache(Path.resolve)  # of folders, which many files share

    def judge(record: _Record) -> _Record:
        return _judge(record, root / record["file_name"], inside, resolved)

    found = pd.DataFrame(progress(_mapped(judge, records), "reading faces", len(records)))
    bad = found["reason"] != ""
    faces = found[~bad].sort_values(["digest", "row"], ignore_index=True)
    conflicting, repeated = _find_duplicates(faces)
    drops_conflicts = conflicting_duplicates is Conflict.drop
    findings = pd.concat(
        [
            found[bad].assign(action="dropped"),
            _with_reason(
                conflicting, "conflicting_duplicate", "dropped" if drops_conflicts else "kept"
            ),
            _with_reason(repeated, "duplicate", "kept"),
        ]
    )
    if drops_conflicts:
        faces = faces.drop(conflicting.index)
    faces = faces[["row", "file_name", "age", "official_split", "digest"]]
    return faces.reset_index(drop=True), _in_order(findings)


def add_unusable_pictures(
    findings: pd.DataFrame, faces: pd.DataFrame, problems: dict[str, tuple[str, str]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drop the faces whose pictures could not be decoded, and list them.

    Args:
        findings: The audit so far.
        faces: Usable faces so far.
        problems: Reason and detail by digest.

    Returns:
        The faces left, and all findings.
    """
    broken = faces[faces["digest"].isin(list(problems))]
    if broken.empty:
        return faces, findings
    reasons = [problems[digest] for digest in broken["digest"]]
    new = broken.assign(
        age_text=broken["age"].map("{:g}".format),
        reason=[reason for reason, _ in reasons],
        detail=[detail for _, detail in reasons],
        action="dropped",
    )
    older = findings[~findings["row"].isin(broken["row"])]
    return faces.drop(broken.index).reset_index(drop=True), _in_order(pd.concat([older, new]))


def summarise(findings: pd.DataFrame) -> list[str]:
    """One line for each reason, most frequent first: `12 dropped: missing_file (row 3, …)`."""
    groups = findings.groupby(["reason", "action"], sort=False)
    lines = []
    for (reason, action), group in sorted(groups, key=lambda item: -len(item[1])):
        rows = ", ".join(str(row) for row in group["row"].head(3))
        more = ", …" if len(group) > 3 else ""
        lines.append(f"{len(group)} {action}: {reason} (row {rows}{more})")
    return lines


def parse_age(text: str) -> tuple[float, str, str]:
    """An age as it was written: years, and reason and detail where it cannot be used."""
    word = text.strip()
    if word.lower() in ("", "na", "n/a", "nan", "none", "null"):
        return math.nan, "age_missing", ""
    try:
        age = float(word.replace("_", "?"))  # Python reads 1_0 as 10
    except ValueError:
        return math.nan, "age_not_a_number", repr(text)
    if not MIN_AGE <= age <= MAX_AGE:
        return age, "age_out_of_range", f"{word} is outside {MIN_AGE:g}–{MAX_AGE:g} years"
    return age, "", ""


def _mapped(judge: Callable[[_Record], _Record], records: list[_Record]) -> Iterator[_Record]:
    """In threads where the disk is what one waits for; else they only wait for Python's lock."""
    started = time.perf_counter()
    yield from map(judge, records[:_NUM_TRIED])
    rest = records[_NUM_TRIED:]
    if time.perf_counter() - started < _NUM_TRIED * _FAST:
        yield from map(judge, rest)
        return
    with ThreadPoolExecutor(max_workers=min(32, 4 * (os.cpu_count() or 1))) as pool:
        yield from pool.map(judge, rest)


def _judge(record: _Record, path: Path, root: Path, resolved: Callable[[Path], Path]) -> _Record:
    age, reason, detail = parse_age(record["age_text"])
    digest = ""
    if record["malformed"]:
        reason, detail = "malformed_row", record["malformed"]
    elif not _is_inside(path, root, resolved):
        reason, detail = "outside_root", record["file_name"]
    elif not reason:
        digest, reason, detail = _hash_file(path)
    return record | {"age": age, "digest": digest, "reason": reason, "detail": detail}


def _is_inside(path: Path, root: Path, resolved: Callable[[Path], Path]) -> bool:
    """Whether the file really lies below the resolved root, links followed."""
    try:
        if path.name == ".." or path.is_symlink():
            return path.resolve().is_relative_to(root)
        return resolved(path.parent).is_relative_to(root)
    except (OSError, ValueError, RuntimeError):  # a NUL byte, a name too long, a ring of links
        return False


def _hash_file(path: Path) -> tuple[str, str, str]:
    try:
        if path.exists() and not path.is_file():  # a pipe would be read for ever
            return "", "unreadable", "not a regular file"
        content = path.read_bytes()
    except FileNotFoundError:
        return "", "missing_file", ""
    except OSError as error:
        return "", "unreadable", error.strerror or type(error).__name__
    if not content:
        return "", "empty_file", "0 bytes"
    return hashlib.sha256(content).hexdigest(), "", ""


def _find_duplicates(faces: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Faces that share their bytes: those whose ages disagree, and those whose ages agree."""
    repeated = faces[faces.duplicated("digest", keep=False)]
    num_ages = repeated.groupby("digest")["age"].transform("nunique")
    return repeated[num_ages > 1], repeated[num_ages == 1]


def _with_reason(faces: pd.DataFrame, reason: str, action: str) -> pd.DataFrame:
    twins = faces.groupby("digest")["row"].transform(_join_rows) if len(faces) else ""
    return faces.assign(reason=reason, detail=twins, action=action)


def _join_rows(rows: Iterable[int]) -> str:
    return "rows " + ", ".join(str(row) for row in sorted(rows))


def _in_order(findings: pd.DataFrame) -> pd.DataFrame:
    columns = list(FINDING_COLUMNS)
    return findings[columns].sort_values("row", ignore_index=True)
