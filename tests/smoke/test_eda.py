"""`python -m src.eda`, typed, and its page in a real browser."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from src.exploration.labels import seed_ages


@pytest.fixture
def eda(tmp_path: Path, environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess]:
    def run(*arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *options, "-m", "src.eda", *arguments],
            cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=120,
        )  # fmt: skip

    return run


def page_of(done: subprocess.CompletedProcess, folder: Path) -> Path:
    assert done.returncode == 0, done.stderr
    return folder / re.search(r"^The page: (.+)$", done.stdout, re.MULTILINE)[1]


def test_fresh_clone_shows_its_faces_and_the_seed_study_without_tensorflow(eda, tmp_path) -> None:
    done = eda("data=sample", "data.num_images=64", options=("-X", "importtime"))
    imported = set(re.findall(r"\| +(\w+)", done.stderr))
    assert "skimage" in imported
    assert not imported & {"tensorflow", "keras", "keras_tuner"}
    page = page_of(done, tmp_path)
    html = page.read_text("utf-8")
    for shown in ("31.201159", "17.145060", "seed study", "Balance of the split", "64 labels"):
        assert shown in html
    assert not re.search(r"""(src|href)=["']https?://""", html)
    figures = {file.name for file in (page.parent / "figures").iterdir()}
    assert figures == {"age_histogram.png", "light.png", "traits.png", "split.png"}
    assert (page.parent / "tables/age_statistics.csv").is_file()


def test_labels_without_pictures_give_the_ages(eda, tmp_path) -> None:
    lines = [f"{place}.jpg,{age:g}" for place, age in enumerate(seed_ages())]
    (tmp_path / "labels.csv").write_text("\n".join(["file_name,real_age", *lines]))
    done = eda("data=labels_csv", f"data.root={tmp_path}")
    assert "mean 31.201159 years, sd 17.145060, quartiles 20/29/41" in done.stdout
    assert "No picture could be used" in done.stdout
    assert page_of(done, tmp_path).is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "seed=0,1"], "Fix: leave out -m"),
        (["data=labels_csv", "data.root=nowhere"], "must be a folder for data=labels_csv"),
        (["data=labels_csv", "data.root=."], "The table of labels is missing"),
    ],
)
def test_mistake_is_explained(eda, tmp_path, arguments, message) -> None:
    done = eda(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 390])
def test_page_fits_screen_and_telephone(eda, tmp_path, width: int) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    page = page_of(eda("data=sample", "data.num_images=64"), tmp_path)
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": width, "height": 800})
        view.on("console", lambda message: faults.append(message.text))
        view.on("pageerror", lambda error: faults.append(str(error)))
        view.goto(page.as_uri())
        pictures = view.locator("img")
        assert pictures.count() > 20
        loaded = pictures.evaluate_all("all => all.every(each => each.naturalWidth > 0)")
        overflow = view.evaluate("document.body.scrollWidth - document.documentElement.clientWidth")
        heading = view.locator("#age_bands th").nth(1)
        heading.click()
        counts = view.locator("#age_bands tbody td:nth-child(2)").all_inner_texts()
        browser.close()
    assert loaded
    assert overflow <= 0
    assert not faults
    assert [int(count) for count in counts] == sorted(int(count) for count in counts)
