"""Saved views, read back from the store as MLflow's page reads them."""

import base64
import json
import re
import zlib
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from src.config import Objective
from src.config.study_schema import Direction
from src.records.terms import Terms
from src.tracking.study import StudyStore
from src.tracking.views import save_views, study_links

_LIMIT = 20_000  # characters of an experiment's tag
_THREE = ["optimizer.learning_rate", "data.batch_size", "model.dropout_rate"]


@pytest.fixture
def store(in_new_store) -> StudyStore:
    in_new_store("store")
    return StudyStore("faces", "s")


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
    links = save_views(store.experiment_id, "s", _THREE, _THREE, Terms())
    others = save_views(store.experiment_id, "s2", _THREE, _THREE, Terms())
    monkeypatch.setattr("src.tracking.views.time.time", lambda: 2.0)
    more = [*_THREE, "model.hidden_units"]
    assert save_views(store.experiment_id, "s", more, more, Terms()) == links
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
    varied = ["augmentation.name", "seed"]
    save_views(store.experiment_id, "s", varied, varied[:1], Terms())
    assert params(state(store, "s: trials")["selectedColumns"]) == [
        *_THREE, "augmentation.name", "seed"
    ]  # fmt: skip
    assert axes(state(store, "s: charts")) == ["augmentation.name"]

    save_views(store.experiment_id, "s", [], [], Terms())
    assert axes(state(store, "s: charts")) == ["log10_learning_rate", *_THREE[1:]]


def test_views_of_many_hyperparameters_fit_into_a_tag(store: StudyStore) -> None:
    keys = [f"augmentation.some_transformation_{number}.strength" for number in range(20)]
    save_views(store.experiment_id, "s", keys, keys, Terms())
    assert params(state(store, "s: trials")["selectedColumns"]) == [*_THREE, *keys]


def test_links_lead_to_the_saved_views(store: StudyStore) -> None:
    links = study_links(store.experiment_id, "s", page="")
    assert re.match(r"#/experiments/1/runs\?.*viewStateShareKey=\w+&", links.charts)
    assert links.table.endswith("&compareRunsMode=TABLE")


def test_views_compare_and_order_by_the_objective(store: StudyStore) -> None:
    most = Terms(objective=Objective("last/val_mae", Direction.maximize))
    save_views(store.experiment_id, "s", [], [], most)
    table, charts = state(store, "s: trials"), state(store, "s: charts")
    for each in (table, charts):
        assert (each["orderByKey"], each["orderByAsc"]) == ("metrics.`last/val_mae`", False)
    assert table["selectedColumns"][3:5] == ["metrics.`last/val_mae`", "metrics.`best/val_mae`"]
    kinds = {chart["type"]: chart for chart in charts["compareRunCharts"][:2]}
    assert kinds["PARALLEL"]["selectedMetrics"] == ["last/val_mae"]
    assert kinds["SCATTER"]["yaxis"]["key"] == "last/val_mae"
