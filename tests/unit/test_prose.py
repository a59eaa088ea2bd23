"""Plain English in docstrings and documents."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUESTION = re.compile(r"(?:What|Whether|Who|Whom|Whose|How|Where|Why|Which|When)\b(?!ever)")
ODD = re.compile(
    r"\b(?:anew|whatever|whoever|nobody|somebody|came to|goes on|went on|left alone|"
    r"told apart|mended|palatable|honest once|lies in|stands in the way|look-?alikes?|twin)\b",
    re.IGNORECASE,
)
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings() -> Iterator[tuple[str, str]]:
    for file in [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
                name = getattr(node, "name", "module")
                yield f"{file.relative_to(ROOT)}: {name}", text


def documents() -> Iterator[Path]:
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile"))
    yield from sorted((ROOT / "src").rglob("*.md"))
    yield from sorted((ROOT / "conf").rglob("*.yaml"))
    yield from sorted((ROOT / "src").rglob("*.py"))


def test_no_docstring_opens_as_a_question() -> None:
    found = [f"{place}: {text.splitlines()[0]}" for place, text in docstrings()
             if QUESTION.match(text)]  # fmt: skip
    assert not found, "\n".join(found)


def test_words_are_those_of_technical_english() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in documents()
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if ODD.search(line)
    ]
    assert not found, "\n".join(found)


def test_readme_is_short_enough_to_be_read() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 175
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 50
