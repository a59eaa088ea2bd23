"""Saved views of a study: a table and charts on MLflow's page.

MLflow keeps a saved view as a tag of the experiment, in a format that is not documented.
`tests/smoke/test_study_page.py` opens both views in a browser.
"""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient

from src.config import Objective
from src.config.study_schema import Direction
from src.core import names
from src.core.names import State
from src.records.terms import Terms
from src.tracking.links import view_link
from src.tracking.retry import patient

_TAG = "mlflow.sharedViewState."

_LEARNING_RATE = "optimizer.learning_rate"
_ALWAYS = (_LEARNING_RATE, "data.batch_size", "model.dropout_rate")
_SCALARS = (names.BEST_VAL_MAE, names.BEST_TRAIN_MAE, names.BEST_GAP, names.BEST_EPOCH)
_CARD_HEIGHT = 420  # pixels; MLflow's own 360 cut the legends of a study with many trials
# MLflow adds a chart for every other metric: closed, and below the study's own.
_OTHER_SECTIONS = ("best", "last", "loss", "mae", "memory", "time", "val", "System metrics")


@dataclass(frozen=True)
class StudyLinks:
    """Links to a study on MLflow's page.

    Attributes:
        table: Its trials, the best first.
        charts: Its trials in charts; failed ones are left out.
    """

    table: str
    charts: str

    def markdown(self) -> str:
        """Returns both views as one line of Markdown."""
        return f"All trials: [table]({self.table}) · [charts]({self.charts})"


def save_views(
    experiment_id: str, study: str, varied: Sequence[str], axes: Sequence[str], terms: Terms
) -> StudyLinks:
    """Writes both views of a study, or replaces them under the same links.

    Args:
        experiment_id: MLflow's.
        study: Name of the study; it may have no trials yet.
        varied: Hyperparameters that differ between its trials: columns of the table.
        axes: Hyperparameters that every trial has, since parallel coordinates leave out a trial
            that lacks one.
        terms: The study's.
    """
    _save(experiment_id, study, "trials", _table(study, varied, terms.objective))
    _save(experiment_id, study, "charts", _charts(study, axes, terms.objective))
    return study_links(experiment_id, study)


def study_links(experiment_id: str, study: str, page: str | None = None) -> StudyLinks:
    """Returns the links to a study whose views are saved.

    Args:
        experiment_id: MLflow's.
        study: Name of the study.
        page: Address of MLflow's page, `links.page_root()` by default. If it is empty, the links
            work within the page at any address.
    """
    return StudyLinks(
        table=view_link(experiment_id, _view_id(study, "trials"), "TABLE", page),
        charts=view_link(experiment_id, _view_id(study, "charts"), "CHART", page),
    )


def _view_id(study: str, name: str) -> str:
    """Returns the same id at every call, so that a view is replaced and its link stays valid."""
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


def _table(study: str, varied: Sequence[str], objective: Objective) -> dict[str, Any]:
    params = [*_ALWAYS, *(key for key in varied if key not in _ALWAYS)]
    headings = {f"params.`{key}`": key for key in params}
    headings |= {f"metrics.`{key}`": key for key in (objective.metric, *_SCALARS)}
    headings |= {"tags.`state`": "state" + " " * 7}  # its values are longer
    return {
        **_trials(study, objective),
        "selectedColumns": list(headings),
        "columnOrder": [*headings, "duration"],  # MLflow always shows the duration
        "columnWidths": {column: 30 + 7 * len(text) for column, text in headings.items()},
    }


def _charts(study: str, axes: Sequence[str], objective: Objective) -> dict[str, Any]:
    shown = [names.LOG10_LEARNING_RATE if key == _LEARNING_RATE else key for key in axes or _ALWAYS]
    rate = {"key": names.LOG10_LEARNING_RATE, "type": "PARAM"}
    sections: dict[str, list[dict[str, Any]]] = {
        "Hyperparameters and objective": [
            {"type": "PARALLEL", "selectedParams": shown, "selectedMetrics": [objective.metric]}
        ],
        "Learning rate": [
            {"type": "SCATTER", "xaxis": rate, "yaxis": {"key": metric, "type": "METRIC"}}
            for metric in dict.fromkeys((objective.metric, names.BEST_GAP))
        ],
        "Learning curves": [  # solid for validation, dashed for training, by the metrics' order
            {
                "type": "LINE",
                "metricKey": names.VAL_MAE,
                "selectedMetricKeys": [names.VAL_MAE, names.TRAIN_MAE],
                "lineSmoothness": 0,  # curves are smoothed by default
                "xAxisKey": "step",
            }
        ],
    }
    return {
        # The values of a diverged trial would compress all others at the bottom of every chart.
        **_trials(study, objective, f" AND tags.state != '{State.FAILED}'"),
        "selectedColumns": [],
        "runsHiddenMode": "SHOW_ALL",  # not only the first ten
        "isAccordionReordered": True,  # sections in this order, not by name
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


def _trials(study: str, objective: Objective, condition: str = "") -> dict[str, Any]:
    """Returns a filter without the parent run, and an order by a metric, which is shown flat."""
    return {
        "searchFilter": f"tags.study = '{study}' AND tags.kind IS NULL{condition}",
        "orderByKey": f"metrics.`{objective.metric}`",
        "orderByAsc": objective.direction is Direction.minimize,
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
