from mlflow.tracking import MlflowClient

from src.config import TargetConfig
from src.tracking.registry import Version, _shortened, register


def test_card_that_fits_is_the_description_and_a_longer_one_is_cut_between_lines() -> None:
    assert _shortened("a" * 5000) == "a" * 5000
    cut = _shortened("a line\n" * 1000)
    assert len(cut) <= 5000
    assert cut.startswith("a line\na line")
    assert cut.endswith("a line\n\n… the whole card is the run's `model_card.md`.")


def test_page_is_the_one_of_mlflow_ui(monkeypatch) -> None:
    monkeypatch.delenv("MLFLOW_PORT", raising=False)
    version = Version("face-age", "3", "champion-small", "")
    assert version.page() == "http://127.0.0.1:5000/#/models/face-age/versions/3"


def kept_by(name: str) -> str:
    client = MlflowClient()
    run_id = client.create_run("1", run_name=name).info.run_id
    made = client.create_logged_model("1", "model", run_id)
    client.finalize_logged_model(made.model_id, "READY")
    return made.model_id


def test_model_is_registered_under_the_name_of_its_target(store) -> None:
    size = TargetConfig("size", "mm", [0.0, 300.0], [[0, 300]])
    first = register(kept_by("trial 1"), "a study", "# card", {"trial": "trial 1"}, size)
    assert first == Version("face-size", "1", "champion-a-study", "")
    second = register(kept_by("trial 2"), "another", "# card", {}, size)
    assert second == Version("face-size", "2", "champion-another", 'version 1 of study "a study"')
    client = MlflowClient()
    model = client.get_registered_model("face-size")
    assert model.aliases == {"champion": "2", "champion-a-study": "1", "champion-another": "2"}
    assert model.description.startswith("Predicts size in mm from")
    assert client.get_model_version("face-size", "1").tags == {
        "trial": "trial 1", "study": "a study"
    }  # fmt: skip
