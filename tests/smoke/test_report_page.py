"""Report of a study in a real browser: as a file, and within MLflow."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from src.analysis.study_data import read_study
from src.report import main
from tests.smoke.test_page import bare_page, keep_picture
from tests.smoke.test_page import page as page  # a fixture
from tests.unit.analysis.made_study import EXPERIMENT, grid, make_study

pytestmark = pytest.mark.slow


@pytest.fixture
def report(in_tmp_path: Path) -> Path:
    """The page of a study of 24 trials, in `experiments/`."""
    make_study("one", grid(), lambda c: 2.0 * (c["optimizer.learning_rate"] == "1e-05"))
    main(["one", "--claims", "seed"])
    return in_tmp_path / "experiments/one/report.html"


def test_page_is_drawn_without_errors_on_a_screen_and_a_phone(report: Path, page: Page) -> None:
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text)
            if message.type == "error" else None)  # fmt: skip
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url)
            if request.url.startswith("http") else None)  # fmt: skip
    for width in (1200, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(report.as_uri())
        for chart in ("gap_against_mae", "parallel_coordinates"):
            expect(page.locator(f"#{chart} .main-svg").first).to_be_visible()
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, f"the page is wider than {width} px"
        keep_picture(page, f"report_{width}")
    assert faults == []
    pictures = page.locator("figure img")
    assert pictures.count() >= 8
    assert all(pictures.nth(n).evaluate("p => p.naturalWidth") > 300
               for n in range(pictures.count()))  # fmt: skip
    captions = page.locator("figure figcaption").all_inner_texts()
    assert len(captions) == page.locator("figure").count()
    assert all(len(caption) > 20 for caption in captions)


def test_a_click_on_a_heading_sorts(report: Path, page: Page) -> None:
    page.goto(report.as_uri())
    table = page.locator("table").filter(has=page.get_by_role("columnheader", name="p (Holm)"))
    heading = table.get_by_role("columnheader", name="p (Holm)")

    def column() -> list[float]:
        return [float(text) for text in table.locator("tbody td:last-child").all_inner_texts()]

    heading.click()
    assert column() == sorted(column())
    heading.click()
    assert column() == sorted(column(), reverse=True)


def test_report_opens_inside_mlflow(report: Path, page: Page, environment) -> None:
    parent = read_study(EXPERIMENT, "one").parent_id
    page.set_viewport_size({"width": 1700, "height": 1100})
    with bare_page(Path.cwd(), environment) as address:
        page.goto(
            f"{address}/#/experiments/1/runs/{parent}/artifacts/report/report.html"
            "?workflowType=machine_learning"
        )
        frame = page.frame_locator("iframe").first
        expect(frame.get_by_role("heading", name="Leaderboard")).to_be_visible(timeout=60_000)
        expect(frame.locator("#gap_against_mae .main-svg").first).to_be_attached(timeout=60_000)
        keep_picture(page, "report_in_mlflow")
