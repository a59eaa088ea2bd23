"""Documents, rendered as HTML that works offline and as Markdown."""

from src.pages.blocks import (
    Block,
    Document,
    Faces,
    Formats,
    Picture,
    Section,
    Table,
    Text,
    formatted,
)
from src.pages.html import as_html
from src.pages.markdown import as_markdown, escape, markdown_table

__all__ = [
    "Block",
    "Document",
    "Faces",
    "Formats",
    "Picture",
    "Section",
    "Table",
    "Text",
    "as_html",
    "as_markdown",
    "escape",
    "formatted",
    "markdown_table",
]
