"""A study's saved views, looked at in a real browser, and the command that opens them."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from playwright.sync_api import Page, expect

from src.core.names import State
from src.records import tables
from src.records.terms import Terms
from src.tracking.links import run_link
from src.tracking.study import StudyStore
from src.tracking.views import save_views, study_links
from tests.smoke.test_page import bare_page, free_port, keep_picture
from tests.smoke.test_page import page as page  # a fixture

pytestmark = pytest.mark.slow

NUM_EPOCHS = 12
LARGE = {"width": 2200, "height": 1900}  # MLflow does not draw what is not in sight


@pytest.fixture
def study(in_tmp_path: Path) -> StudyStore:
    """Six complete trials, one that diverged, their parent, and a trial of another study."""
    other = StudyStore("face-age", "other")
    other.create_trial("stranger", {"trial": "1"})
    store = StudyStore("face-age", "small")
    store.open_parent({})
    grid = [(rate, dropout) for rate in (1e-4, 1e-3, 1e-2) for dropout in (0.0, 0.2)]
    for number, (rate, dropout) in enumerate(grid, start=1):
        exponent = math.log10(rate)
        best = 8 + (exponent + 3.2) ** 2 + 2.5 * dropout
        curves = [
            (best + 8 * math.exp(-epoch / 3), best - (0.2 - dropout / 2) * epoch - exponent / 2)
            for epoch in range(1, NUM_EPOCHS + 1)
        ]
        params = {"optimizer.learning_rate": rate, "log10_learning_rate": f"{exponent:.4f}",
                  "data.batch_size": 16, "model.dropout_rate": dropout}  # fmt: skip
        add_trial(store, number, params, curves, State.COMPLETE)
    diverged = {"optimizer.learning_rate": 1.0, "log10_learning_rate": "0.0000",
                "data.batch_size": 16, "model.dropout_rate": 0.0}  # fmt: skip
    add_trial(store, 7, diverged, [(9e8, 9e9)], State.FAILED)
    trials = store.trials()
    varied, axes = tables.varied_keys(trials), tables.axis_keys(trials)
    save_views(store.experiment_id, "small", varied, axes, Terms())
    links = study_links(store.experiment_id, "small", page="")
    text = tables.description(
        "Which is best?", tables.headline(trials, Terms()), links.markdown(), trials, Terms()
    )
    store.set_tags(store.parent_id, {"mlflow.note.content": text})
    store.close_parent("FINISHED", State.COMPLETE)
    return store


def add_trial(
    store: StudyStore,
    number: int,
    params: dict[str, object],
    curves: list[tuple[float, float]],
    state: State,
) -> None:
    run_id = store.create_trial(f"trial {number}", {"trial": str(number)})
    metrics = [
        Metric(key, value, 0, epoch)
        for epoch, values in enumerate(curves, start=1)
        for key, value in zip(("mae/val", "mae/train"), values, strict=True)
    ]
    val, train = curves[-1]
    scalars = {
        "best/val_mae": val, "best/val_mae_low": val - 1, "best/val_mae_high": val + 1,
        "best/train_mae": train, "best/gap": val - train, "best/epoch": len(curves),
    }  # fmt: skip
    metrics += [Metric(key, value, 0, 0) for key, value in scalars.items()]
    entities = [Param(key, str(value)) for key, value in params.items()]
    MlflowClient().log_batch(run_id, metrics=metrics, params=entities)
    store.set_tags(run_id, {"state": state})
    MlflowClient().set_terminated(run_id, "FAILED" if state is State.FAILED else "FINISHED")


@pytest.fixture
def server(study: StudyStore, in_tmp_path: Path, environment: dict[str, str]) -> Iterator[str]:
    with bare_page(in_tmp_path, environment) as address:
        yield address


def column(page: Page, name: str) -> list[str]:
    """A column of the table, from the top."""
    cells = page.locator(f"[role=row] [role=gridcell][col-id='{name}']")
    expect(cells.first).to_be_visible()
    return cells.evaluate_all(
        """cells => cells
            .map(cell => [Number(cell.closest("[row-index]").getAttribute("row-index")), cell])
            .sort((a, b) => a[0] - b[0]).map(([_, cell]) => cell.innerText)"""
    )


def test_links_of_a_study_show_its_trials_in_a_table_and_in_charts(
    study: StudyStore, server: str, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_PORT", server.rpartition(":")[2])
    page.set_viewport_size(LARGE)
    links = study_links(study.experiment_id, "small", server)
    complete = [
        trial
        for trial in tables.ranked(study.trials(), Terms().objective)
        if trial.state is State.COMPLETE
    ]
    assert len(complete) == 6

    page.goto(links.table)
    expect(page.get_by_text("7 matching runs")).to_be_visible()
    page.get_by_role("button", name="Close", exact=True).last.click()  # MLflow's assistant
    errors = [float(text) for text in column(page, "metrics.`best/val_mae`")]
    assert errors == sorted(errors)
    assert errors[:6] == pytest.approx([trial.metrics["best/val_mae"] for trial in complete])
    rates = column(page, "params.`optimizer.learning_rate`")
    assert rates[:6] == [trial.params["optimizer.learning_rate"] for trial in complete]
    assert column(page, "tags.`state`") == ["COMPLETE"] * 6 + ["FAILED"]
    headings = page.locator("[role=columnheader][col-id*='`']").evaluate_all(
        "cells => cells.sort((a, b) => a.getBoundingClientRect().x - b.getBoundingClientRect().x)"
        ".map(cell => cell.innerText)"
    )
    assert headings[-8:] == [
        "optimizer.learning_rate", "data.batch_size", "model.dropout_rate",
        "best/val_mae", "best/train_mae", "best/gap", "best/epoch", "state",
    ]  # fmt: skip
    expect(page.get_by_role("link", name="trial 7", exact=True)).to_be_visible()
    for absent in ("small", "stranger"):
        expect(page.get_by_role("link", name=absent, exact=True)).to_have_count(0)
    keep_picture(page, "view_table")

    page.goto(run_link(study.experiment_id, study.parent_id))
    expect(page.get_by_text("Which is best?").first).to_be_visible()
    page.get_by_text("Show more").click()
    expect(page.locator("td", has_text="COMPLETE")).to_have_count(len(complete))
    keep_picture(page, "view_description")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="charts", exact=True).click()
    page = opened.value
    page.set_viewport_size(LARGE)
    assert page.url == links.charts
    expect(page.get_by_text("6 matching runs")).to_be_visible()
    for section in ("Hyperparameters and objective", "Learning rate", "Learning curves"):
        expect(page.get_by_text(section).first).to_be_visible()
    for axis in ("log10_learning_rate", "model.dropout_rate", "best/val_mae"):
        expect(page.locator(".parcoords .dimension").get_by_text(axis)).to_be_visible()
    plots = page.locator(".js-plotly-plot")
    expect(plots).to_have_count(3)
    expect(plots.nth(2).locator(".trace.scatter").nth(2 * len(complete) - 1)).to_be_attached()
    page.wait_for_timeout(2000)  # lines fade in
    keep_picture(page, "view_charts")

    for plot, metric in ((plots.nth(0), "best/val_mae"), (plots.nth(1), "best/gap")):
        shown = plot.evaluate(
            "plot => ({type: plot._fullLayout.xaxis.type, points: plot.calcdata[0].map("
            "point => [point.x, point.y])})"
        )
        expected = [
            [float(trial.params["log10_learning_rate"]), trial.metrics[metric]]
            for trial in complete
        ]
        assert shown["type"] == "linear"
        assert sorted(shown["points"]) == [pytest.approx(point) for point in sorted(expected)]
    curves = plots.nth(2).evaluate("plot => plot.data.map(line => [line.metricKey, line.y])")
    logged = [
        [key, [point.value for point in MlflowClient().get_metric_history(trial.run_id, key)]]
        for trial in complete
        for key in ("mae/val", "mae/train")
    ]
    assert sorted(curves) == sorted(logged * 2)  # twice: the second would be the unsmoothed one


def test_command_opens_the_charts_in_a_browser_and_ends_with_ctrl_c(
    study: StudyStore, in_tmp_path: Path, environment: dict[str, str]
) -> None:
    browser = in_tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {in_tmp_path}/opened\n')
    browser.chmod(0o755)
    port = free_port()
    command = [sys.executable, "-m", "src.ui", "small", "--port", str(port)]
    with subprocess.Popen(
        command, env=environment | {"BROWSER": f"{browser} %s"}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        # Tests that run in the background ignore Ctrl-C, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        try:
            link = study_links(study.experiment_id, "small", f"http://127.0.0.1:{port}").charts
            assert any(line.strip() == link for line in process.stdout)

            servers = psutil.Process(process.pid).children(recursive=True)
            assert servers
            again = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert again.returncode == 1
            assert f"Received: --port {port}. Fix: " in again.stderr
            assert "Traceback" not in again.stderr
        finally:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.wait(timeout=30) == 0
        assert "Traceback" not in process.stdout.read()
    assert (in_tmp_path / "opened").read_text().strip() == link
    assert not psutil.wait_procs(servers, timeout=30)[1]
