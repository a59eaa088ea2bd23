"""Imports follow the layer picture of README.md."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

LAYERS = (
    {"core"},
    {"config", "statistics"},
    {"records"},
    {"data", "model", "tracking", "pages"},
    {"training"},
    {"stacked"},
    {"search", "exploration"},
    {"analysis"},
    {"evaluation"},
    {"plugins"},
    {"cli"},
    {"train", "eda", "report", "replay", "trials", "champion", "ui", "caches"},
)
"""Packages by layer, the lowest first; an import may only point down, or stay in its package."""

DOORS = {
    "hydra": {"plugins", "train", "cli"},
    "omegaconf": {"config", "plugins", "train", "eda", "caches", "cli"},
    "keras_tuner": {"search"},
    "tensorflow": {"model", "data", "stacked"},  # data: one of three decoders
    "keras": {"model", "training", "stacked", "tracking"},  # tracking: to save a model
    "mlflow": {"tracking"},
    "cv2": {"data"},
    "PIL": {"data"},
    "skimage": {"data"},
    "sklearn": {"search", "analysis"},
    "matplotlib": {"training", "tracking", "pages", "exploration", "analysis"},  # or its types
}
"""Rooms that may import a library."""


def room(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports() -> Iterator[tuple[Path, str]]:
    """Every import anywhere in the source, also inside functions, as a dotted name."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from ((file, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: relative import"
                yield from ((file, f"{node.module}.{alias.name}") for alias in node.names)


def layer(name: str) -> int:
    (found,) = [number for number, rooms in enumerate(LAYERS) if name in rooms]
    return found


def test_imports_point_down() -> None:
    inside = [
        (room(file), name.split(".")[1]) for file, name in imports() if name.startswith("src.")
    ]
    assert len(inside) > 50
    for importer, imported in inside:
        peers = importer == imported
        assert layer(imported) < layer(importer) + peers, f"{importer} imports {imported}"


def test_no_command_imports_another() -> None:
    commands = LAYERS[-1]
    for file, name in imports():
        if file.parent == SOURCE and name.startswith("src."):
            assert name.split(".")[1] not in commands - {file.stem}, f"{file.name} imports {name}"


@pytest.mark.parametrize("library", DOORS)
def test_heavy_libraries_have_their_doors(library: str) -> None:
    users = {room(file) for file, name in imports() if name.split(".")[0] == library}
    assert users == DOORS[library]


def test_every_room_has_a_layer() -> None:
    rooms = {room(file) for file in SOURCE.rglob("*.py")} - {"__init__"}
    assert rooms == set().union(*LAYERS)
