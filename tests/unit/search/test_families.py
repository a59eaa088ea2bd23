"""Searches are found by name in `src/search/families/`."""

import sys
from pathlib import Path

import pytest

from src.core.errors import UsageError
from src.search import families
from src.search.settings import SweepSettings, check_settings
from src.search.space import Choices, Hyperparameter, check_space

RATES = [{"optimizer.learning_rate": 1e-4, "model.hidden_units": [48, 8]},
         {"data.batch_size": 16, "model.weights": None}]  # fmt: skip

HALVES = """
from src.search.search import Search, Suggestion


class HalvesSearch(Search):
    name = "halves"
    needs_max_trials = True

    def __init__(self, settings, space, max_epochs):
        self._left = list(range(settings.max_trials))
        self._key = space[0].key

    def ask(self):
        if not self._left:
            return None
        index = self._left.pop(0)
        return Suggestion(index, {self._key: str(0.5**index)})
"""


def test_list_search_suggests_its_configurations_as_overrides() -> None:
    settings = SweepSettings(oracle="list", configurations=RATES)
    check_settings(settings, ())
    found = list(iter(settings.search_class(settings, (), 9).ask, None))
    assert [suggestion.index for suggestion in found] == [0, 1]
    assert [suggestion.values for suggestion in found] == [
        {"optimizer.learning_rate": "0.0001", "model.hidden_units": "[48,8]"},
        {"data.batch_size": "16", "model.weights": "null"},
    ]
    first = SweepSettings(oracle="list", configurations=RATES, max_trials=1)
    assert len(list(iter(first.search_class(first, (), 9).ask, None))) == 1


def test_list_search_needs_a_list_and_no_other_has_one() -> None:
    space = check_space([Hyperparameter("seed", Choices(("0", "1")))])
    with pytest.raises(UsageError, match="Received: an empty list"):
        check_settings(SweepSettings(oracle="list"), ())
    with pytest.raises(UsageError, match="Received: seed with several values"):
        check_settings(SweepSettings(oracle="list", configurations=RATES), space)
    with pytest.raises(UsageError, match="must be empty for grid"):
        check_settings(SweepSettings(configurations=RATES), space)


def test_search_in_a_file_of_its_own_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "halves.py").write_text(HALVES)
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    space = check_space([Hyperparameter("model.dropout_rate", Choices(("0", "1")))])
    with pytest.raises(UsageError, match="must be given for halves"):
        check_settings(SweepSettings(oracle="halves"), space)
    settings = SweepSettings(oracle="halves", max_trials=3)
    check_settings(settings, space)
    found = iter(settings.search_class(settings, space, 9).ask, None)
    assert [dict(suggestion.values)["model.dropout_rate"] for suggestion in found] == [
        "1.0", "0.5", "0.25",
    ]  # fmt: skip
    monkeypatch.delitem(sys.modules, "src.search.families.halves")


def test_searches_are_known_without_their_libraries() -> None:
    known = families.search_classes()
    assert {"grid", "list", "random", "bayesian", "hyperband"} <= set(known)
    assert [name for name, search in known.items() if search.is_adaptive] == [
        "bayesian", "hyperband",
    ]  # fmt: skip


def test_setting_at_its_neutral_value_is_not_compared() -> None:
    assert "hydra.sweeper.configurations" not in SweepSettings().compared()
    listed = SweepSettings(oracle="list", configurations=RATES).compared()
    assert listed["hydra.sweeper.configurations"] == RATES
    assert set(SweepSettings().compared()) == {
        f"hydra.sweeper.{name}"
        for name in ("oracle", "replicates", "max_trials", "seed", "num_initial_points", "noise",
                     "exploration", "reduction_factor", "iterations")
    }  # fmt: skip
