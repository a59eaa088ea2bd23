from src.tracking.registry import Version, _shortened


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
