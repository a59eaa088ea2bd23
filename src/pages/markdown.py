"""Rendering of a document as Markdown."""

from collections.abc import Sequence

import pandas as pd

from src.pages.blocks import Block, Document, Picture, Table, Text

_MAX_ROWS = 40  # the CSV has them all


def as_markdown(document: Document) -> str:
    """Returns the document without faces; it links to files in `figures/` and `tables/`."""
    parts = [f"# {document.title}", document.summary]
    for section in document.without_faces().sections:
        parts += [f"## {section.title}", *map(_block, section.blocks)]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def markdown_table(cells: pd.DataFrame) -> str:
    """Returns a table of text; numeric columns are right-aligned."""
    rule = ["---:" if is_numeric(cells[name]) else "---" for name in cells]
    rows: list[Sequence[object]] = [list(cells), rule, *cells.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows)


def escape(text: str) -> str:
    """Returns text with Markdown's and HTML's special characters escaped."""
    for mark, shown in (("&", "&amp;"), ("<", "&lt;"), ("*", "\\*"), ("`", "\\`")):
        text = text.replace(mark, shown)
    return text


def is_numeric(column: pd.Series) -> bool:
    """Returns whether every cell that is not empty begins like a number."""
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
            shown = markdown_table(block.cells.head(_MAX_ROWS))
            more = len(block.cells) - _MAX_ROWS
            rest = f"{more} more rows are in the CSV. " if more > 0 else ""
            return f"{shown}\n\n*{block.caption} {rest}([CSV](tables/{block.name}.csv))*"
        case _:
            return ""
