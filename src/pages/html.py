"""Rendering of a document as one HTML file that works offline."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt
from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from src.pages.blocks import Document, Table
from src.pages.markdown import is_numeric

_LONG = 24  # characters; columns with longer cells are wrapped


def as_html(document: Document) -> str:
    """Returns the document with all pictures, data and scripts embedded."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    environment.filters |= {
        "markdown": _markdown,
        "data_uri": _data_uri,
        "spec": _script_json,
        "column_styles": _column_styles,
    }
    is_interactive = any(picture.interactive for picture in document.pictures)
    script = Markup(get_plotlyjs()) if is_interactive else ""  # noqa: S704 our own
    template = environment.get_template("template.html")
    return template.render(document=document, plotly=script)


def _markdown(text: str) -> Markup:
    """Returns HTML; tags in the text are escaped, since names of studies are typed by users."""
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return Markup(rendered)  # noqa: S704


def _column_styles(table: Table) -> list[str]:
    """Returns the CSS class of each column: numbers right, text left, long text wrapped."""
    return [
        "words" if any(len(str(cell)) > _LONG for cell in column)
        else "" if is_numeric(column) else "text"
        for _, column in table.cells.items()
    ]  # fmt: skip


def _data_uri(content: bytes, mime_type: str) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


def _script_json(value: Any) -> Markup:
    """Returns JSON with null for NaN, and without `<`, which could close the script element."""
    return Markup(to_json_plotly(value, engine="json"))  # noqa: S704
