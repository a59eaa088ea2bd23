"""Rendering of a document as one HTML file that works offline."""

import base64
import io
import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt
from markupsafe import Markup

from src.pages.blocks import Document, Picture, Table
from src.pages.markdown import is_numeric

PNG_DPI = 130
_LONG = 24  # characters; columns with longer cells are wrapped


def as_html(document: Document, pictures: Mapping[str, bytes] | None = None) -> str:
    """Returns the document with all pictures, data and scripts embedded.

    Args:
        document: The document.
        pictures: PNG files of its figures by name; None to draw them.
    """
    drawn = pictures or {picture.name: picture_png(picture) for picture in document.pictures}
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    filters: dict[str, Callable[..., Any]] = {
        "markdown": _markdown,
        "png": lambda picture: _data_uri(drawn[picture.name], "image/png"),
        "face": lambda content: _data_uri(content, _image_type(content)),
        "csv": lambda table: _data_uri(table.csv.encode(), "text/csv"),
        "spec": _script_json,
        "column_styles": _column_styles,
        "kind": lambda block: type(block).__name__,
    }
    environment.filters |= filters
    is_interactive = any(picture.interactive for picture in document.pictures)
    return environment.get_template("template.html").render(
        document=document, plotly=Markup(_plotly()) if is_interactive else ""  # noqa: S704 our own
    )  # fmt: skip


def picture_png(picture: Picture) -> bytes:
    """Returns the figure as a PNG file."""
    stream = io.BytesIO()
    picture.figure.savefig(stream, format="png", dpi=PNG_DPI)
    return stream.getvalue()


def _markdown(text: str) -> Markup:
    """Returns HTML; tags in the text are escaped, since names of studies are typed by users."""
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return Markup(rendered)  # noqa: S704


def _column_styles(table: Table) -> list[str]:
    """Returns the CSS class of each column: numbers right, text left, long text wrapped."""
    columns = [table.cells.iloc[:, index] for index in range(table.cells.shape[1])]
    return [
        "words" if any(len(str(cell)) > _LONG for cell in column)
        else "" if is_numeric(column) else "text"
        for column in columns
    ]  # fmt: skip


def _image_type(content: bytes) -> str:
    return "image/jpeg" if content.startswith(b"\xff\xd8") else "image/png"


def _data_uri(content: bytes, mime_type: str) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


def _script_json(value: Any) -> Markup:
    """Returns JSON without `<`, which could close the enclosing script element."""
    return Markup(json.dumps(_finite(value)).replace("<", "\\u003c"))  # noqa: S704


def _finite(value: Any) -> Any:
    """Returns the value with null for NaN and infinity, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value


@cache
def _plotly() -> str:
    """Returns Plotly's script from its package."""
    return (resources.files("plotly") / "package_data/plotly.min.js").read_text("utf-8")
