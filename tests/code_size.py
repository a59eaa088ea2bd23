"""Counts lines of code: `python -m tests.code_size [<folder>]`.

A line counts if it holds a token that is neither a comment nor part of a docstring.
"""

import ast
import io
import sys
import tokenize
from pathlib import Path

_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
           tokenize.ENDMARKER, tokenize.ENCODING}  # fmt: skip
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def count(text: str) -> int:
    """Returns the number of lines of code of a module."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            first = node.body[0]
            lines.difference_update(range(first.lineno, (first.end_lineno or 0) + 1))
    return len(lines)


def main() -> None:
    """Prints the count of each package below the folder, and of all."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "src")
    counts: dict[str, int] = {}
    for file in sorted(root.rglob("*.py")):
        package = file.relative_to(root).parts[0]
        counts[package] = counts.get(package, 0) + count(file.read_text())
    for package, lines in counts.items():
        print(f"{lines:6,}  {package}")
    print(f"{sum(counts.values()):6,}  {root}")


if __name__ == "__main__":
    main()
