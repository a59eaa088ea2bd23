"""A study on MLflow's page: two saved views, a link away from a bare `mlflow ui`.

MLflow keeps a saved view as a tag of the experiment, in a format of its own. Its minor version is
therefore pinned, and `tests/smoke/test_study_page.py` looks at both views in a browser.
"""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.tracking import MlflowClient

from src.core.names import State
from src.tracking.retry import patient

_BARE_PAGE = "http://127.0.0.1:5000"  # where a bare `mlflow ui` listens
_MODE = "workflowType=machine_learning"  # a fresh browser shows language models otherwise
_TAG = "mlflow.sharedViewState."

_LEARNING_RATE = "optimizer.learning_rate"
_EXPONENT = "log10_learning_rate"  # a parameter of every trial, because MLflow's axes are linear
_ALWAYS = (_LEARNING_RATE, "data.batch_size", "model.dropout_rate")
_ERROR, _GAP = "best/val_mae", "best/gap"
_SCALARS = (_ERROR, "best/train_mae", _GAP, "best/epoch")
_CARD_HEIGHT = 420  # pixels; MLflow's own 360 cut the legends of a study with many trials
# MLflow adds a chart for every other metric: closed, and below ours.
_OTHER_SECTIONS = ("best", "last", "loss", "mae", "memory", "time", "val", "System metrics")


@dataclass(frozen=True)
class StudyLinks:
    """Where a person looks at a study.

    Attributes:
        table: Its trials, the best first.
        charts: Its trials held against each other; those that failed are left to the table.
        run: Its parent run; empty for a study that was never swept.
    """

    table: str
    charts: str
    run: str

    def markdown(self) -> str:
        """Returns both views as one line of Markdown."""
        return f"All trials: [table]({self.table}) · [charts]({self.charts})"


def save_views(
    experiment_id: str, study: str, varied: Sequence[str], axes: Sequence[str] | None = None
) -> StudyLinks:
    """Write both views of a study, or write them anew under the same links.

    Args:
        experiment_id: MLflow's.
        study: Name of the study; its trials need not be there yet.
        varied: Hyperparameters that differ between its trials: columns of the table.
        axes: Those that every trial has; parallel coordinates leave out a trial that lacks one.
            All that are varied, by default.
    """
    _save(experiment_id, study, "trials", _table(study, varied))
    _save(experiment_id, study, "charts", _charts(study, varied if axes is None else axes))
    return study_links(experiment_id, study)


@patient
def study_links(experiment_id: str, study: str, page: str | None = None) -> StudyLinks:
    """The links to a study whose views are saved.

    Args:
        experiment_id: MLflow's.
        study: Name of the study.
        page: Address of MLflow's page; `mlflow_address()` by default. If it is empty, the links
            work from within the page, whatever its address is.
    """
    query = f"tags.study = '{study}' and tags.kind = 'study'"
    parents = MlflowClient().search_runs([experiment_id], query, max_results=1)
    address = mlflow_address() if page is None else page
    runs = f"{address}/#/experiments/{experiment_id}/runs".lstrip("/")

    def view(name: str, mode: str) -> str:
        key = _view_id(study, name)
        return f"{runs}?viewStateShareKey={key}&{_MODE}&compareRunsMode={mode}"

    return StudyLinks(
        table=view("trials", "TABLE"),
        charts=view("charts", "CHART"),
        run=f"{runs}/{parents[0].info.run_id}?{_MODE}" if parents else "",
    )


def mlflow_address() -> str:
    """Where MLflow's page is: at the tracking server, if there is one, else on this machine."""
    uri = mlflow.get_tracking_uri()
    return uri.rstrip("/") if uri.startswith(("http://", "https://")) else _BARE_PAGE


def experiment_link(experiment_id: str, page: str) -> str:
    """The link to all runs of an experiment, on the page with this address."""
    return f"{page}/#/experiments/{experiment_id}/runs?{_MODE}"


def _view_id(study: str, name: str) -> str:
    """The same at every call, so that a view is replaced and its link stays."""
    return hashlib.sha256(f"{study}: {name}".encode()).hexdigest()[:32]


@patient
def _save(experiment_id: str, study: str, name: str, state: Mapping[str, Any]) -> None:
    client, key = MlflowClient(), _TAG + _view_id(study, name)
    before = client.get_experiment(experiment_id).tags.get(key)
    now = int(time.time() * 1000)
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    view = {
        "name": f"{study}: {name}",
        "createdAt": json.loads(before)["createdAt"] if before else now,
        "updatedAt": now,
        "state": f"deflate;{packed}",
    }
    client.set_experiment_tag(experiment_id, key, json.dumps(view))


def _table(study: str, varied: Sequence[str]) -> dict[str, Any]:
    params = [*_ALWAYS, *(key for key in varied if key not in _ALWAYS)]
    headings = {f"params.`{key}`": key for key in params}
    headings |= {f"metrics.`{key}`": key for key in _SCALARS}
    headings |= {"tags.`state`": "state" + " " * 7}  # its values are longer
    return {
        **_trials(study),
        "selectedColumns": list(headings),
        "columnOrder": [*headings, "duration"],  # MLflow shows the duration unasked
        "columnWidths": {column: 30 + 7 * len(text) for column, text in headings.items()},
    }


def _charts(study: str, axes: Sequence[str]) -> dict[str, Any]:
    sections = {
        "Hyperparameters and error": [_parallel(axes or _ALWAYS)],
        "Learning rate": [_scatter(_ERROR), _scatter(_GAP)],
        "Learning curves": [_curves()],
    }
    return {
        # A diverged trial would leave the others a flat line at the bottom of every chart.
        **_trials(study, f" AND tags.state != '{State.FAILED}'"),
        "selectedColumns": [],
        "runsHiddenMode": "SHOW_ALL",  # not only the first ten
        "isAccordionReordered": True,  # sections as they come here, not by name
        "compareRunSections": [
            *(_section(name, True, len(charts)) for name, charts in sections.items()),
            *(_section(name, False, 3) for name in _OTHER_SECTIONS),
        ],
        "compareRunCharts": [
            {**chart, "uuid": f"{name} {number}", "metricSectionId": name, "isGenerated": False}
            for name, charts in sections.items()
            for number, chart in enumerate(charts)
        ],
    }


def _trials(study: str, condition: str = "") -> dict[str, Any]:
    """The trials without their parent; in an order by a metric, the page lays them out flat."""
    return {
        "searchFilter": f"tags.study = '{study}' AND tags.kind IS NULL{condition}",
        "orderByKey": f"metrics.`{_ERROR}`",
        "orderByAsc": True,
    }


def _section(name: str, is_open: bool, num_columns: int) -> dict[str, Any]:
    return {
        "uuid": name,
        "name": name,
        "display": is_open,
        "isReordered": True,
        "columns": num_columns,
        "cardHeight": _CARD_HEIGHT,
    }


def _parallel(keys: Sequence[str]) -> dict[str, Any]:
    axes = [_EXPONENT if key == _LEARNING_RATE else key for key in keys]
    return {"type": "PARALLEL", "selectedParams": axes, "selectedMetrics": [_ERROR]}


def _scatter(metric: str) -> dict[str, Any]:
    return {
        "type": "SCATTER",
        "xaxis": {"key": _EXPONENT, "type": "PARAM"},
        "yaxis": {"key": metric, "type": "METRIC"},
    }


def _curves() -> dict[str, Any]:
    """Validation solid, training dashed: MLflow's styles, in the order of the metrics."""
    return {
        "type": "LINE",
        "metricKey": "mae/val",
        "selectedMetricKeys": ["mae/val", "mae/train"],
        "lineSmoothness": 0,  # left out, curves are smoothed
        "xAxisKey": "step",
    }
