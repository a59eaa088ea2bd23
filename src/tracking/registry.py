"""MLflow's model registry: models that trials kept, and versions made of the chosen ones."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from src.tracking.retry import patient

MODEL = "face-age"
CHAMPION = "champion"
_DESCRIPTION = "Guesses ages from faces. Each version is the chosen trial of a study."
_MAX_DESCRIPTION = 5000  # characters: the column's width, which PostgreSQL enforces


@dataclass(frozen=True)
class Version:
    """A version of the registered model.

    Attributes:
        model: Name of the registered model.
        number: MLflow's, from 1.
        alias: The study's own alias.
        replaced: Version that was `champion` before, and its study; empty where there was none.
    """

    model: str
    number: str
    alias: str
    replaced: str

    def page(self) -> str:
        """Where a bare `mlflow ui` on this machine shows it."""
        return f"http://127.0.0.1:5000/#/models/{self.model}/versions/{self.number}"


@patient
def kept_model(experiment_id: str, run_id: str) -> str | None:
    """Id of the model that a trial kept last; None if it kept none, or its files are gone."""
    client = MlflowClient()
    found = client.search_logged_models(
        [experiment_id],
        f"source_run_id = '{run_id}'",
        order_by=[{"field_name": "creation_timestamp", "ascending": False}],
    )
    for model in found:
        whole = model.status is LoggedModelStatus.READY
        if whole and client.list_logged_model_artifacts(model.model_id):
            return str(model.model_id)
    return None


def load_model(model_id: str) -> Any:
    """The Keras model, as the trial kept it."""
    import mlflow.keras

    return mlflow.keras.load_model(f"models:/{model_id}")


@patient
def register(model_id: str, study: str, card: str, tags: Mapping[str, str]) -> Version:
    """Make a kept model the newest version of the registered one, and the champion.

    The version refers to the model by its id, and MLflow copies the model's location, which is
    relative where the experiment's is; so the project's folder stays movable.

    Args:
        model_id: See `kept_model`.
        study: Its study, which gets an alias of its own too, such as `champion-small`.
        card: The model card, Markdown.
        tags: What the version is found by.
    """
    client = MlflowClient()
    try:
        client.create_registered_model(MODEL, description=_DESCRIPTION)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    before = client.get_registered_model(MODEL).aliases.get(CHAMPION)
    created = client.create_model_version(
        MODEL,
        source=f"models:/{model_id}",
        run_id=client.get_logged_model(model_id).source_run_id,
        tags={**tags, "study": study},
        description=_shortened(card),
        model_id=model_id,
    )
    alias = f"{CHAMPION}-{re.sub('[^A-Za-z0-9_-]', '-', study)}"  # MLflow allows nothing else
    for name in (CHAMPION, alias):
        client.set_registered_model_alias(MODEL, name, created.version)
    return Version(MODEL, str(created.version), alias, _told(client, before) if before else "")


def _told(client: MlflowClient, number: str) -> str:
    study = client.get_model_version(MODEL, number).tags.get("study", "unknown")
    return f'version {number} of study "{study}"'


def _shortened(card: str) -> str:
    if len(card) <= _MAX_DESCRIPTION:
        return card
    ending = "\n\n… the whole card is the run's `model_card.md`."
    return card[: _MAX_DESCRIPTION - len(ending)].rpartition("\n")[0] + ending
