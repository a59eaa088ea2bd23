"""Saved views, read back from the store as MLflow's page reads them."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from src.tracking.study import StudyStore
from src.tracking.views import mlflow_address, save_views, study_links

_LIMIT = 20_000  # characters of an experiment's tag
_THREE = ["optimizer.learning_rate", "data.batch_size", "model.dropout_rate"]


@pytest.fixture
def store(in_tmp_path: Path) -> StudyStore:
    return StudyStore("face-age", "s")


def saved(store: StudyStore) -> dict[str, dict[str, Any]]:
    """The experiment's views by their ids, each with its state unpacked."""
    tags = MlflowClient().get_experiment(store.experiment_id).tags
    views = {}
    for key, value in tags.items():
        if key.startswith("mlflow.sharedViewState."):
            assert len(value) < _LIMIT
            view = json.loads(value)
            packed = view["state"].removeprefix("deflate;")
            state = json.loads(zlib.decompress(base64.b64decode(packed)))
            views[key.rpartition(".")[2]] = {**view, "state": state}
    return views


def state(store: StudyStore, name: str) -> dict[str, Any]:
    (found,) = [view["state"] for view in saved(store).values() if view["name"] == name]
    return found


def params(columns: list[str]) -> list[str]:
    return [name[len("params.`") : -1] for name in columns if name.startswith("params.")]


def axes(state: dict[str, Any]) -> list[str]:
    (chart,) = [chart for chart in state["compareRunCharts"] if chart["type"] == "PARALLEL"]
    return chart["selectedParams"]


def test_second_call_replaces_the_views_and_keeps_their_links(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.tracking.views.time.time", lambda: 1.0)
    links = save_views(store.experiment_id, "s", _THREE)
    others = save_views(store.experiment_id, "s2", _THREE)
    monkeypatch.setattr("src.tracking.views.time.time", lambda: 2.0)
    assert save_views(store.experiment_id, "s", [*_THREE, "model.hidden_units"]) == links
    assert links.table != others.table

    views = saved(store)
    assert sorted(view["name"] for view in views.values()) == [
        "s2: charts", "s2: trials", "s: charts", "s: trials"
    ]  # fmt: skip
    for id_, view in views.items():
        is_mine = view["name"].startswith("s:")
        assert (view["createdAt"], view["updatedAt"]) == (1000, 2000 if is_mine else 1000)
        assert sum(id_ in link for link in (links.table, links.charts)) == is_mine
    columns = state(store, "s: trials")["selectedColumns"]
    assert params(columns) == [*_THREE, "model.hidden_units"]
    assert columns[4:] == [
        "metrics.`best/val_mae`", "metrics.`best/train_mae`", "metrics.`best/gap`",
        "metrics.`best/epoch`", "tags.`state`",
    ]  # fmt: skip


def test_table_has_the_three_hyperparameters_and_charts_only_those_that_differ(
    store: StudyStore,
) -> None:
    save_views(store.experiment_id, "s", ["augmentation.name", "seed"], ["augmentation.name"])
    assert params(state(store, "s: trials")["selectedColumns"]) == [
        *_THREE, "augmentation.name", "seed"
    ]  # fmt: skip
    assert axes(state(store, "s: charts")) == ["augmentation.name"]

    save_views(store.experiment_id, "s", [])
    assert axes(state(store, "s: charts")) == ["log10_learning_rate", *_THREE[1:]]


def test_views_of_many_hyperparameters_fit_into_a_tag(store: StudyStore) -> None:
    keys = [f"augmentation.some_transformation_{number}.strength" for number in range(20)]
    save_views(store.experiment_id, "s", keys)
    assert params(state(store, "s: trials")["selectedColumns"]) == [*_THREE, *keys]


def test_links_lead_to_the_parent_run_once_there_is_one(store: StudyStore) -> None:
    assert study_links(store.experiment_id, "s").run == ""
    store.open_parent({})
    links = study_links(store.experiment_id, "s", page="")
    assert links.run == f"#/experiments/1/runs/{store.parent_id}?workflowType=machine_learning"
    assert links.charts.startswith("#/experiments/1/runs?viewStateShareKey=")


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sqlite:///mlflow.db", "http://127.0.0.1:5000"),
        ("https://mlflow.example.org/", "https://mlflow.example.org"),
    ],
)
def test_links_begin_with_the_tracking_server_where_there_is_one(
    uri: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: uri)
    assert mlflow_address() == address
