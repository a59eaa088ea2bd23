"""Blocks of a document: text, pictures, tables and faces."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

_DPI = 130

Formats = Mapping[str, str | Callable[[Any], str]]
"""Format of columns: format strings such as `{:.2f}`, or functions."""


@dataclass(frozen=True)
class Text:
    """Prose in Markdown."""

    markdown: str


@dataclass(frozen=True)
class Picture:
    """A figure with its caption.

    Attributes:
        name: File name without suffix; unique in the document.
        figure: The static figure.
        caption: One or two sentences of plain text.
        interactive: The same as a Plotly specification (`data` and `layout`), which replaces the
            figure where JavaScript runs; None for a static figure only.
    """

    name: str
    figure: Figure
    caption: str
    interactive: Mapping[str, Any] | None = field(default=None, repr=False)

    @cached_property
    def png(self) -> bytes:
        """The figure as a PNG file."""
        stream = io.BytesIO()
        self.figure.savefig(stream, format="png", dpi=_DPI)
        return stream.getvalue()


@dataclass(frozen=True)
class Table:
    """Table that can be sorted, and downloaded as CSV.

    Attributes:
        name: File name without suffix; unique in the document.
        values: Content of the CSV.
        caption: Meaning of the columns; plain text.
        formats: Formats of the displayed columns; the others are text.
        shown: Displayed table, if it is not that of the CSV; the columns are the headings.
        marked: Indices of highlighted rows.
        muted: Indices of rows for comparison.
    """

    name: str
    values: pd.DataFrame
    caption: str
    formats: Formats = field(default_factory=dict)
    shown: pd.DataFrame | None = None
    marked: Sequence[int] = ()
    muted: Sequence[int] = ()

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The displayed text; a dash for NaN in the columns that have a format."""
        cells = (self.values if self.shown is None else self.shown).copy()
        for name, how in self.formats.items():
            write = how.format if isinstance(how, str) else how
            cells[name] = ["–" if pd.isna(value) else write(value) for value in cells[name]]
        return cells

    @property
    def csv(self) -> str:
        """The values as CSV."""
        return self.values.to_csv(index=False, lineterminator="\n")


@dataclass(frozen=True)
class Faces:
    """Pictures of people, for local pages only; shared documents must not have them.

    Attributes:
        pictures: Contents of JPEG files.
        labels: A line of text for each.
        caption: Plain text.
    """

    pictures: Sequence[bytes] = field(repr=False)
    labels: Sequence[str]
    caption: str


Block = Text | Picture | Table | Faces


@dataclass(frozen=True)
class Section:
    """A heading with its blocks."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A page.

    Attributes:
        title: The heading.
        summary: The answer in Markdown, before everything else.
        sections: In reading order.
    """

    title: str
    summary: str
    sections: Sequence[Section]

    @property
    def pictures(self) -> list[Picture]:
        """All figures, in reading order."""
        return [block for block in self._blocks() if isinstance(block, Picture)]

    @property
    def tables(self) -> list[Table]:
        """All tables, in reading order."""
        return [block for block in self._blocks() if isinstance(block, Table)]

    @property
    def files(self) -> dict[str, bytes]:
        """Figures and tables as files, by path: `figures/<name>.png` and `tables/<name>.csv`."""
        figures = {f"figures/{picture.name}.png": picture.png for picture in self.pictures}
        return figures | {f"tables/{table.name}.csv": table.csv.encode() for table in self.tables}

    def without_faces(self) -> "Document":
        """Returns the document without pictures of people, to be shared."""
        kept = [
            Section(each.title, [block for block in each.blocks if not isinstance(block, Faces)])
            for each in self.sections
        ]
        return Document(self.title, self.summary, [each for each in kept if each.blocks])

    def _blocks(self) -> list[Block]:
        return [block for section in self.sections for block in section.blocks]
