import csv
import io
import math

import pytest
from rich.console import Console

from src.core.names import State
from src.records import tables
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.tracking.views import StudyLinks

TERMS = Terms()


def trial(number: int | None, state: State = State.COMPLETE, error: float = math.nan, **changes):
    metrics = {} if math.isnan(error) else {
        "best/val_mae": error, "best/val_mae_low": error - 1, "best/val_mae_high": error + 1,
        "best/train_mae": error - 0.5, "best/gap": 0.5, "best/epoch": 3.0,
    }  # fmt: skip
    record = {"run_id": f"run{number}", "name": "", "configuration_hash": "", "data_digest": "",
              "tags": {}, "params": {}, "seconds": 60.0, "process": None}  # fmt: skip
    return TrialRecord(number=number, state=state, metrics=metrics, **(record | changes))


def shown(trials: list[TrialRecord]) -> str:
    console = Console(width=120, file=io.StringIO())
    console.print(tables.table("small", trials, TERMS))
    return console.file.getvalue()


def test_complete_trials_come_first_the_best_first() -> None:
    trials = [
        trial(1, error=9), trial(2, State.PRUNED, error=5), trial(3, error=7),
        trial(4, State.FAILED), trial(None, State.WAITING),
    ]  # fmt: skip
    assert [t.number for t in tables.ranked(trials, TERMS.objective)] == [3, 1, None, 2, 4]


def test_a_table_shows_what_differs_and_why_a_trial_failed() -> None:
    trials = [
        trial(1, error=9, params={"seed": "0", "model.dropout_rate": "0.0"}),
        trial(2, error=8, params={"seed": "0", "model.dropout_rate": "0.2"}),
        trial(3, State.FAILED, tags={"failure": "no [bold] memory\nlong story"}),
        trial(4, State.FAILED, tags={"infeasible": "too wide"}),
    ]
    text = shown(trials)
    assert "dropout_rate 0.2" in text
    assert "seed" not in text
    assert "8.00 [7.00, 9.00]" in text
    assert "no [bold] memory" in text
    assert "long story" not in text
    assert "infeasible" in text


def test_a_diverged_trial_leaves_room_for_the_others() -> None:
    trials = [trial(1, error=9, params={"a": "1"}), trial(2, error=2.2e8, params={"a": "2"})]
    console = Console(width=80, file=io.StringIO())
    console.print(tables.table("small", trials, TERMS))
    text = console.file.getvalue()
    assert "a 2" in text
    assert "2e+08" in text
    assert "COMPLETE" in text


def test_a_long_table_is_cut_on_the_screen_and_whole_in_the_file() -> None:
    trials = [trial(number, error=5 + number) for number in range(1, 101)]
    assert "and 60 more" in shown(trials)
    rows = list(csv.DictReader(io.StringIO(tables.as_csv(trials, TERMS.objective))))
    assert [int(row["trial"]) for row in rows] == list(range(1, 101))
    assert rows[0]["best/val_mae"] == "6"


def test_the_description_of_a_study_leads_to_its_views_and_ranks_ten_trials() -> None:
    trials = [
        trial(number, error=20 - number, params={"model.dropout_rate": f"0.{number}"})
        for number in range(1, 13)
    ]
    links = StudyLinks(table="#/t", charts="#/c")
    lines = tables.description("Why?", "12 trials.", links.markdown(), trials, TERMS).splitlines()
    assert lines[:5] == ["Why?", "", "All trials: [table](#/t) · [charts](#/c)", "", "12 trials."]
    assert lines[6] == (
        "| trial | dropout_rate | best MAE [95 %] | train MAE | gap | best epoch | state |"
    )
    assert lines[8] == "| 12 | 0.12 | 8.00 [7.00, 9.00] | 7.50 | +0.50 | 3 | COMPLETE |"
    assert len(lines) == 8 + 10


def test_axes_are_what_is_varied_in_every_trial_that_has_started() -> None:
    trials = [
        trial(1, params={"a": "1", "b": "1", "seed": "0"}),
        trial(2, params={"a": "2", "b": "2", "seed": "1"}),
        trial(3, params={"a": "2", "seed": "0"}),
        trial(4, State.WAITING),
    ]
    assert tables.varied_keys(trials) == ["a", "b", "seed"]
    assert tables.axis_keys(trials) == ["a"]


@pytest.mark.parametrize("num_trials", [0, 1])
def test_a_study_without_results_has_a_table_and_a_headline(num_trials: int) -> None:
    trials = [trial(1, State.FAILED)] * num_trials
    shown(trials)
    tables.as_csv(trials, TERMS.objective)
    assert "Best" not in tables.headline(trials, TERMS)


def test_the_headline_counts_states_and_names_the_best_complete_trial() -> None:
    trials = [
        trial(1, error=9), trial(2, State.PRUNED, error=5), trial(3, error=7),
        trial(4, State.FAILED), trial(5, State.FAILED, tags={"infeasible": "too wide"}),
    ]  # fmt: skip
    assert tables.headline(trials, TERMS) == (
        "5 trials: 2 complete, 1 pruned, 1 failed, 1 infeasible. Best: trial 3, validation MAE "
        "7.00 years (median of complete trials 8.00)."
    )
