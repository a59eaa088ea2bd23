"""Raw table of a data set: one row for each face that a layout lists, before any check."""

import csv
import os
import re
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from src.config.schema import ColumnsConfig, DataConfig, Layout
from src.core.errors import MissingFileError, UsageError

Row = tuple[str, str, str, str]
"""file_name, label as written, official split, reason why the row is malformed."""

_SPLIT_SYNONYMS = {"training": "train", "valid": "val", "validation": "val"}
_UTKFACE_AGE = re.compile(r"(\d+)_")


def read_table(data: DataConfig, root: Path, text_column: str) -> pd.DataFrame:
    """Lists every face of the data set below `root`.

    Args:
        data: Layout and names of files and columns.
        root: Folder of the data set.
        text_column: Name of the column of labels as written.

    Returns:
        A table with the columns row (from 1, in the layout's own listing), file_name (relative to
        the root), the text column, official_split (train, val, test or empty) and malformed
        (reason why the row could not be read, or empty).

    Raises:
        MissingFileError: If the layout's table is missing.
        UsageError: If the table lacks a column, or holds no row.
    """
    match data.layout:
        case Layout.utkface:
            rows = _list_utkface(root)
        case Layout.appa_real:
            columns = replace(data.columns, split=None)
            rows = [
                (f"{file}_face.jpg", label, _split_name(part), malformed)
                for part in ("train", "valid", "test")
                for file, label, _, malformed in _list_labels(
                    root / f"gt_avg_{part}.csv", part, columns
                )
            ]
        case Layout.labels_csv | Layout.sample:
            rows = _list_labels(root / data.labels_file, data.image_dir, data.columns)
    if not rows:
        raise UsageError(
            f"The data set has no rows. Received: data.root={root} (data={data.layout}). "
            "Fix: point data.root at the folder that holds the faces"
        )
    names = ["file_name", text_column, "official_split", "malformed"]
    table = pd.DataFrame(rows, columns=names)
    table.insert(0, "row", range(1, len(table) + 1))
    return table


def _list_labels(path: Path, image_dir: str, columns: ColumnsConfig) -> list[Row]:
    header, records = _read_csv(path)
    for key, name in asdict(columns).items():
        if name is not None and name not in header:
            raise UsageError(
                f"{path} has no such column; it has: {', '.join(header) or 'nothing'}. "
                f"Received: data.columns.{key}={name}. Fix: data.columns.{key}=<one of these>"
            )
    return [
        (
            (PurePosixPath(image_dir) / record[columns.file_name]).as_posix(),
            record[columns.age],
            _split_name(record[columns.split]) if columns.split else "",
            record[""],
        )
        for record in records
    ]


def _list_utkface(root: Path) -> list[Row]:
    """Returns rows whose label precedes the first `_`; the other fields may be malformed."""
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    rows = []
    for file in files:
        if any(part.startswith(".") for part in file.parts):
            continue
        name = os.fsencode(file.as_posix()).decode("utf-8", errors="replace")
        match = _UTKFACE_AGE.match(file.name)
        malformed = "" if match else "the file name does not begin with an age and `_`"
        if name != file.as_posix():
            malformed = "the file name is not UTF-8"
        rows.append((name, match[1] if match else "", "", malformed))
    return rows


def _read_csv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Returns all records as text; the key "" holds an error in a record's shape, or is empty."""
    if not path.is_file():
        raise MissingFileError(
            f"The table of labels is missing. Received: {path}. Fix: data.root=<its folder>, "
            "data.labels_file=<its name>, or another data=<layout>"
        )
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        rows = [_split_line(line) for line in file if line.strip()]
    header, records = (rows[0] if rows else []), []
    for row in rows[1:]:
        record = dict.fromkeys(header, "") | dict(zip(header, row, strict=False))
        wrong = len(row) != len(header)
        record[""] = f"number of fields: {len(row)} instead of {len(header)}" if wrong else ""
        records.append(record)
    return header, records


def _split_line(line: str) -> list[str]:
    """Returns the fields of a line. Read as a whole, a file would lose all after a stray quote."""
    try:
        return [field.strip() for field in next(csv.reader([line.rstrip("\r\n")]))]
    except csv.Error:  # a field above the limit of the csv module
        return [line[:80]]


def _split_name(text: str) -> str:
    """Returns the project's word for a split; an unknown word is kept, for the error message."""
    word = text.strip().lower()
    return _SPLIT_SYNONYMS.get(word, word)
