"""What a page is made of."""

from collections.abc import Mapping, Sequence
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
        figure: How it looks on paper; its axes have units.
        caption: What there is to see, in a sentence or two; plain text.
        interactive: The same as a Plotly specification (`data` and `layout`), which takes the
            figure's place where JavaScript runs; None where there is nothing to interact with.
    """

    name: str
    figure: Figure
    caption: str
    interactive: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Table:
    """Rows that can be sorted, and downloaded as CSV.

    Attributes:
        name: File name without suffix; unique in the document.
        cells: What is shown, as text; the columns are the headings.
        caption: What the columns mean; plain text.
        values: The same as numbers for the CSV; None where the cells will do.
        marked: Rows (by position) that stand out.
        muted: Rows that are there to compare with.
    """

    name: str
    cells: pd.DataFrame
    caption: str = ""
    values: pd.DataFrame | None = None
    marked: Sequence[int] = ()
    muted: Sequence[int] = ()

    @property
    def csv(self) -> str:
        """The values, for other programs."""
        values = self.cells if self.values is None else self.values
        return values.to_csv(index=False, lineterminator="\n")


@dataclass(frozen=True)
class Faces:
    """Pictures of people: on a local page only, never in what is meant for others.

    Attributes:
        pictures: Each a PNG or JPEG file's bytes.
        labels: A line of text for each.
        caption: What there is to see.
    """

    pictures: Sequence[bytes] = field(repr=False)
    labels: Sequence[str]
    caption: str


Block = Text | Picture | Table | Faces


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A page.

    Attributes:
        title: Its heading.
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
        """The same for others' eyes: no picture of a person."""
        sections = [
            Section(
                section.title,
                [block for block in section.blocks if not isinstance(block, Faces)],
            )
            for section in self.sections
        ]
        return Document(self.title, self.summary, [each for each in sections if each.blocks])

    def _blocks(self) -> list[Block]:
        return [block for section in self.sections for block in section.blocks]
