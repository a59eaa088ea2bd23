"""MLflow is used through its public API."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"
PRIVATE = re.compile(r"mlflow\.(store|utils|protos|tracking\._)|mlflow\.(\w+\.)*_[a-z]")
WRITES = re.compile(r"(INSERT|UPDATE|DELETE) ")


def mlflow_names(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def test_no_private_name_of_mlflow_is_used() -> None:
    used = [(file.name, name) for file in SOURCE.rglob("*.py") for name in mlflow_names(file)]
    assert any(name.startswith("mlflow.") for _, name in used)
    assert [each for each in used if PRIVATE.match(each[1]) and "__version__" not in each[1]] == []


def test_one_statement_writes_into_mlflows_tables() -> None:
    statements = [
        (file.name, node.value.split()[:2])
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and WRITES.match(node.value.strip())
    ]
    assert statements == [("store.py", ["UPDATE", "experiments"])]
