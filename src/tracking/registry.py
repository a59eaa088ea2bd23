"""MLflow's model registry: models that trials kept, and registered versions of the best."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus

from src.config import TargetConfig
from src.core import names
from src.tracking.links import page_root
from src.tracking.retry import patient

CHAMPION = "champion"
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
        """Returns the link to it on MLflow's page."""
        return f"{page_root()}/#/models/{self.model}/versions/{self.number}"


@patient
def kept_model(experiment_id: str, run_id: str) -> str | None:
    """Returns the id of the model that a trial kept last; None if it has none with its files."""
    client = MlflowClient()
    found = client.search_logged_models(
        [experiment_id],
        f"source_run_id = '{run_id}'",
        order_by=[{"field_name": "creation_timestamp", "ascending": False}],
    )
    ids = (str(model.model_id) for model in found if model.status is LoggedModelStatus.READY)
    return next((id_ for id_ in ids if client.list_logged_model_artifacts(id_)), None)


def load_model(model_id: str) -> Any:
    """Returns the Keras model that a trial kept."""
    import mlflow.keras

    return mlflow.keras.load_model(f"models:/{model_id}")


@patient
def register(
    model_id: str, study: str, card: str, tags: Mapping[str, str], target: TargetConfig
) -> Version:
    """Registers a kept model as the newest version and as the champion.

    The version refers to the model by its id, and MLflow copies the model's location, which is
    relative if the experiment's is; so the project's folder stays movable.

    Args:
        model_id: Id of a kept model.
        study: Its study, which gets an alias of its own too, such as `champion-small`.
        card: The model card, Markdown.
        tags: Tags of the version.
        target: What it predicts.
    """
    client, model = MlflowClient(), f"face-{target.name}"
    text = (
        f"Predicts {target.name} in {target.unit} from pictures of faces. "
        "Each version is the best trial of a study."
    )
    if not client.search_registered_models(f"name = '{model}'"):
        client.create_registered_model(model, description=text)
    before = client.get_registered_model(model).aliases.get(CHAMPION)
    created = client.create_model_version(
        model,
        source=f"models:/{model_id}",
        run_id=client.get_logged_model(model_id).source_run_id,
        tags={**tags, names.STUDY: study},
        description=_shortened(card),
        model_id=model_id,
    )
    alias = f"{CHAMPION}-{re.sub('[^A-Za-z0-9_-]', '-', study)}"  # MLflow allows nothing else
    for name in (CHAMPION, alias):
        client.set_registered_model_alias(model, name, created.version)
    former = client.get_model_version(model, before).tags if before else {}
    replaced = f'version {before} of study "{former.get(names.STUDY, "unknown")}"' if before else ""
    return Version(model, str(created.version), alias, replaced)


def _shortened(card: str) -> str:
    if len(card) <= _MAX_DESCRIPTION:
        return card
    ending = f"\n\n… the whole card is the run's `{names.MODEL_CARD_FILE}`."
    return card[: _MAX_DESCRIPTION - len(ending)].rpartition("\n")[0] + ending
