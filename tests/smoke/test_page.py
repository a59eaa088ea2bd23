"""A bare `mlflow ui` in the project's folder, looked at in a real browser."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.smoke.conftest import SMALL

pytestmark = pytest.mark.slow

SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Folder to keep pictures of the page in, for a person to look at; optional."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(url: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5)
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


@pytest.fixture
def server(tmp_path: Path, start, environment) -> Iterator[str]:
    """The page's address, with one finished and one infeasible trial in its store."""
    diverging = ["optimizer=sgd", "optimizer.clipnorm=null", "optimizer.learning_rate=1e30",
                 "model.output_activation=linear"]  # fmt: skip
    for overrides, expected in ((["fit.epochs=2"], 0), (diverging, 3)):
        process = start(*SMALL, "model.backbone=tiny", *overrides)
        _, err = process.communicate(timeout=300)
        assert process.returncode == expected, err
    with bare_page(tmp_path, environment) as address:
        yield address


@contextmanager
def bare_page(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of a bare `mlflow ui` in this folder."""
    port = free_port()
    light = {"MLFLOW_PORT": str(port), "MLFLOW_WORKERS": "1",
             "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # fmt: skip
    mlflow = Path(sys.executable).parent / "mlflow"
    with (folder / "ui.log").open("w") as log:
        process = subprocess.Popen(
            [mlflow, "ui"], cwd=folder, env=environment | light, stdout=log, stderr=log
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", seconds=90)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=quiet)
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def keep_picture(page: Page, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}.png")


def test_page_shows_runs_curves_parameters_and_pictures(server: str, page: Page) -> None:
    machine_learning = "workflowType=machine_learning"
    page.goto(f"{server}/#/experiments/1/runs?{machine_learning}")
    expect(page.get_by_text("trial 3").first).to_be_visible()
    keep_picture(page, "runs")

    run_ids = {run["info"]["status"]: run["info"]["run_id"] for run in search_runs(server)}
    assert set(run_ids) == {"FINISHED", "FAILED"}
    run_page = f"{server}/#/experiments/1/runs/{run_ids['FINISHED']}"
    page.goto(f"{run_page}?{machine_learning}")
    for text in (
        "optimizer.learning_rate",
        "best/val_mae",
        "log10_learning_rate",
        "Finished",
        "Validation MAE",
    ):
        expect(page.get_by_text(text).first).to_be_visible()
    keep_picture(page, "run")

    page.goto(f"{run_page}/model-metrics?{machine_learning}")
    page.get_by_placeholder("Search metric charts").fill("mae/")
    for curve in ("gap", "train", "val"):
        expect(page.get_by_text(curve, exact=True).first).to_be_visible()
    page.wait_for_timeout(2000)  # the charts draw themselves
    keep_picture(page, "curves")

    page.goto(f"{run_page}/artifacts/figures/learning_curve.png?{machine_learning}")
    picture = page.locator("img[src^='blob:'], img[src*='get-artifact']").first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 400
    keep_picture(page, "learning_curve")

    page.goto(f"{server}/#/experiments/1/runs/{run_ids['FAILED']}?{machine_learning}")
    expect(page.get_by_text("infeasible").first).to_be_visible()
    expect(page.get_by_text("Failed").first).to_be_visible()
    keep_picture(page, "infeasible")


def search_runs(server: str) -> list[dict]:
    request = urllib.request.Request(
        f"{server}/api/2.0/mlflow/runs/search",
        data=json.dumps({"experiment_ids": ["1"]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["runs"]
