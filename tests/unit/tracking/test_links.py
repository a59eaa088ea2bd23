"""Links to MLflow's page."""

import pytest

from src.tracking import links


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_PORT", raising=False)
    set_uri(monkeypatch, "sqlite:///mlflow.db")


def set_uri(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setattr("mlflow.get_tracking_uri", lambda: uri)


def test_links_begin_with_the_page_of_mlflow_ui_on_its_port(monkeypatch) -> None:
    assert links.page_root() == "http://127.0.0.1:5000"
    monkeypatch.setenv("MLFLOW_PORT", "5017")
    assert links.run_link("1", "r") == (
        "http://127.0.0.1:5017/#/experiments/1/runs/r?workflowType=machine_learning"
    )


def test_links_begin_with_the_tracking_server_if_there_is_one(monkeypatch) -> None:
    set_uri(monkeypatch, "https://mlflow.example.org/")
    monkeypatch.setenv("MLFLOW_PORT", "5017")
    assert links.run_link("1", "r", "tables/a.csv") == (
        "https://mlflow.example.org/#/experiments/1/runs/r/artifacts/tables/a.csv"
        "?workflowType=machine_learning"
    )


def test_links_without_an_address_work_within_the_page() -> None:
    assert links.view_link("1", "v", "CHART", root="") == (
        "#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=v"
        "&compareRunsMode=CHART"
    )
