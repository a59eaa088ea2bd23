"""Blocks of a document: text, pictures, tables and faces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure


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


@dataclass(frozen=True)
class Table:
    """Table that can be sorted, and downloaded as CSV.

    Attributes:
        name: File name without suffix; unique in the document.
        cells: The displayed text; the columns are the headings.
        caption: Meaning of the columns; plain text.
        values: The same as numbers for the CSV; None to use the cells.
        marked: Indices of highlighted rows.
        muted: Indices of rows for comparison.
    """

    name: str
    cells: pd.DataFrame
    caption: str = ""
    values: pd.DataFrame | None = None
    marked: Sequence[int] = ()
    muted: Sequence[int] = ()

    @property
    def csv(self) -> str:
        """The values as CSV."""
        values = self.cells if self.values is None else self.values
        return values.to_csv(index=False, lineterminator="\n")


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


Formats = Mapping[str, str | Callable[[Any], str]]
"""Format of columns: format strings such as `{:.2f}`, or functions."""


def formatted(values: pd.DataFrame, formats: Formats) -> pd.DataFrame:
    """Returns the table with these columns as text; a dash for NaN."""
    writers = {name: how.format if isinstance(how, str) else how for name, how in formats.items()}
    return values.assign(
        **{
            name: ["–" if pd.isna(value) else write(value) for value in values[name]]
            for name, write in writers.items()
        }
    )


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

    def without_faces(self) -> "Document":
        """Returns the document without pictures of people, to be shared."""
        kept = [
            Section(each.title, [block for block in each.blocks if not isinstance(block, Faces)])
            for each in self.sections
        ]
        return Document(self.title, self.summary, [each for each in kept if each.blocks])

    def _blocks(self) -> list[Block]:
        return [block for section in self.sections for block in section.blocks]
