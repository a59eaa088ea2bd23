"""A document as Markdown, with its figures and tables beside it."""

from collections.abc import Sequence

import pandas as pd

from src.pages.blocks import Block, Document, Picture, Table, Text

_MOST_ROWS = 40  # the CSV has them all


def as_markdown(document: Document) -> str:
    """The document; figures are expected in `figures/`, tables in `tables/`. No faces."""
    parts = [f"# {document.title}", document.summary]
    for section in document.without_faces().sections:
        parts += [f"## {section.title}", *map(_block, section.blocks)]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def markdown_table(cells: pd.DataFrame) -> str:
    """A table of text; numbers are right-aligned where a column has nothing else."""
    rule = ["---:" if is_numeric(cells[name]) else "---" for name in cells]
    rows: list[Sequence[object]] = [list(cells), rule, *cells.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows)


def escape(text: str) -> str:
    """Text that people have typed, so that Markdown shows it as it is."""
    for mark, shown in (("&", "&amp;"), ("<", "&lt;"), ("*", "\\*"), ("`", "\\`")):
        text = text.replace(mark, shown)
    return text


def is_numeric(column: pd.Series) -> bool:
    """Whether every cell that is not empty begins like a number."""
    firsts = {str(cell)[:1] for cell in column if str(cell)}
    return bool(firsts) and firsts <= set("0123456789+-−–.")


def _cell(value: object) -> str:
    return escape(str(value)).replace("|", "\\|").replace("\n", " ")


def _block(block: Block) -> str:
    match block:
        case Text(text):
            return text
        case Picture(name, _, caption):
            return f"![{caption}](figures/{name}.png)\n\n*{caption}*"
        case Table():
            shown = markdown_table(block.cells.head(_MOST_ROWS))
            more = len(block.cells) - _MOST_ROWS
            rest = f"{more} more rows in it. " if more > 0 else ""
            return f"{shown}\n\n*{block.caption} {rest}([CSV](tables/{block.name}.csv))*"
        case _:
            return ""
