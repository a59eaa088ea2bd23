"""Pages of whole, faulty, tiny and pictureless data sets."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from src import data
from src.core.errors import UsageError
from src.data.sample import draw_face
from src.exploration.labels import seed_ages
from src.exploration.page import document
from src.exploration.survey import Survey, survey
from src.pages import Document, Faces, Table, as_html
from tests.unit.data.conftest import encode


@pytest.fixture
def explored(compose_config, in_tmp_path) -> Callable[..., tuple[Survey, Document]]:
    def surveyed(root: Path, *overrides: str) -> tuple[Survey, Document]:
        config = compose_config("data=labels_csv", f"data.root={root}", *overrides)
        found = survey(config.data, config.target)
        return found, document(found)

    return surveyed


def titles(page: Document) -> list[str]:
    return [section.title for section in page.sections]


def table(page: Document, name: str) -> Table:
    (found,) = [table for table in page.tables if table.name == name]
    return found


def text(page: Document) -> str:
    return page.summary + "".join(
        getattr(block, "markdown", "") for section in page.sections for block in section.blocks
    )


def as_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def test_table_without_pictures_gives_the_statistics_of_its_labels(explored, in_tmp_path) -> None:
    root = in_tmp_path / "labels only"
    root.mkdir()
    names = [f"{place}.jpg" for place in range(7591)]
    labels = pd.DataFrame({"file_name": names, "real_age": seed_ages().astype(int)})
    labels.to_csv(root / "labels.csv", index=False)
    found, page = explored(root)
    assert "No picture" in page.summary
    assert "mean 31.201159 years, sd 17.145060, quartiles 20/29/41, from 1 to 100" in page.summary
    first = table(page, "age_statistics").cells.iloc[0]
    assert (first["n"], first["mean"], first["sd"]) == ("7,591", "31.201159", "17.145060")
    assert titles(page) == ["Implications for training", "Age", "Duplicates and unusable rows"]
    assert len(table(page, "findings").values) == 7591
    assert found.digest == ""
    assert as_html(page)


def test_page_of_whole_faces_has_every_section_and_unique_names(explored, write_faces) -> None:
    found, page = explored(write_faces(list(range(1, 61))))
    assert len(found.faces) == 60
    assert titles(page) == [
        "Implications for training", "Age", "Faces", "Pictures", "Balance of the split",
        "Duplicates and unusable rows",
    ]  # fmt: skip
    names = [block.name for block in (*page.pictures, *page.tables)]
    assert len(names) == len(set(names))
    assert "All 60 rows can be used" in text(page)
    grid = next(block for section in page.sections for block in section.blocks
                if isinstance(block, Faces))  # fmt: skip
    assert grid.labels[0].replace("\N{NO-BREAK SPACE}", " ") == "1 years, 160 × 160 px"
    assert grid.labels[-1].replace("\N{NO-BREAK SPACE}", " ") == "60 years, 160 × 160 px"


def test_split_and_digest_are_those_of_a_trial(explored, write_faces, compose_config) -> None:
    root = write_faces(list(range(1, 41)))
    found, _ = explored(root)
    config = compose_config("data=labels_csv", f"data.root={root}", "data.image_size=32")
    trained_on = data.prepare(config.data, config.target)
    assert found.digest == trained_on.digest
    assert list(found.faces["split"]) == list(trained_on.faces["split"])


def test_faults_are_counted_instead_of_stopping(explored, write_faces) -> None:
    face = draw_face(30, np.random.default_rng(99))
    twin, conflict, broken = encode(face[::-1]), encode(face[:, ::-1]), encode(face)[:300]
    contents = {0: twin, 1: twin, 2: conflict, 3: conflict, 4: broken, 5: b"words"}
    root = write_faces([20, 20, 30, 47, 50, 51, *range(20, 40)], contents)
    (root / "final_files/010.png").unlink()
    found, page = explored(root, "data.max_bad_fraction=0.1")
    assert found.bad_fraction == pytest.approx(5 / 26)
    assert "more than data.max_bad_fraction=0.1: training would stop" in text(page)
    reasons = table(page, "findings").cells.set_index("reason")["number"]
    assert dict(reasons) == {
        "conflicting_duplicate": "2", "duplicate": "2", "missing_file": "1", "not_an_image": "1",
        "unreadable": "1",
    }  # fmt: skip
    assert table(page, "conflicting_duplicates").values.iloc[0]["difference"] == 17
    assert as_html(page)


def test_photograph_that_was_stored_twice_is_found(explored, write_faces) -> None:
    face = draw_face(30, np.random.default_rng(99))
    contents = {0: as_jpeg(face, 95), 1: as_jpeg(face, 60)}
    found, page = explored(write_faces([20, 31, *range(20, 40)], contents))
    assert len(found.near_duplicates) == 1
    pair = found.near_duplicates.iloc[0]
    assert {pair["row_1"], pair["row_2"]} == {1, 2}
    assert "near-duplicates (one photograph in different bytes): 1." in text(page)
    assert as_html(page)


@pytest.mark.parametrize("ages", [[30], [30, 30], [25] * 12, [0.5, 4.75, 119.9]])
def test_few_faces_and_equal_ages_still_make_a_page(explored, write_faces, ages) -> None:
    found, page = explored(write_faces(ages))
    assert len(found.faces) == len(ages)
    assert as_html(page)
    assert page.pictures


def test_pictures_of_many_sizes_are_drawn(explored, write_faces) -> None:
    sizes = [(40, 60), (300, 200), (1, 1), (500, 20)]
    contents = {
        place: encode(np.random.default_rng(place).integers(0, 256, (*size, 3), np.uint8))
        for place, size in enumerate(sizes)
    }
    _, page = explored(write_faces(list(range(20, 32)), contents))
    assert "sizes" in [picture.name for picture in page.pictures]
    assert len(table(page, "size_counts").values) == 5
    assert as_html(page)


def test_ages_that_cannot_be_read_are_explained(explored, write_faces) -> None:
    with pytest.raises(UsageError, match="None of the 2 rows has a usable age"):
        explored(write_faces(["old", ""]))


def test_limit_restricts_the_faces_and_not_the_labels(explored, write_faces) -> None:
    found, _ = explored(write_faces(list(range(1, 61))), "data.limit=20")
    assert len(found.faces) == 20
    assert len(found.labels) == 60


def test_page_without_faces_holds_no_picture_of_a_person(explored, write_faces) -> None:
    root = write_faces(list(range(1, 31)))
    _, page = explored(root)
    html = as_html(page.without_faces())
    assert "data:image/jpeg;base64,/9j/" in as_html(page)  # a JPEG's first bytes
    assert "base64,/9j/" not in html
