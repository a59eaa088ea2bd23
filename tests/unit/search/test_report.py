import csv
import io
import math

import pytest
from rich.console import Console

from src.core.names import State
from src.search import report
from src.search.loop import Job, Outcome
from src.search.oracles import Suggestion
from src.tracking.study import TrialRecord
from src.tracking.views import StudyLinks


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
    console.print(report.table("small", trials))
    return console.file.getvalue()


def test_complete_trials_come_first_the_best_first() -> None:
    trials = [
        trial(1, error=9), trial(2, State.PRUNED, error=5), trial(3, error=7),
        trial(4, State.FAILED), trial(None, State.WAITING),
    ]  # fmt: skip
    assert [t.number for t in report.ranked(trials)] == [3, 1, None, 2, 4]


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
    console.print(report.table("small", trials))
    text = console.file.getvalue()
    assert "a 2" in text
    assert "2e+08" in text
    assert "COMPLETE" in text


def test_a_long_table_is_cut_on_the_screen_and_whole_in_the_file() -> None:
    trials = [trial(number, error=5 + number) for number in range(1, 101)]
    assert "and 60 more" in shown(trials)
    rows = list(csv.DictReader(io.StringIO(report.as_csv(trials))))
    assert [int(row["trial"]) for row in rows] == list(range(1, 101))
    assert rows[0]["best/val_mae"] == "6"


def test_the_description_of_a_study_leads_to_its_views_and_ranks_ten_trials() -> None:
    trials = [
        trial(number, error=20 - number, params={"model.dropout_rate": f"0.{number}"})
        for number in range(1, 13)
    ]
    links = StudyLinks(table="#/t", charts="#/c", run="")
    lines = report.description("Why?", "12 trials.", links, trials).splitlines()
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
    assert report.varied_keys(trials) == ["a", "b", "seed"]
    assert report.axis_keys(trials) == ["a"]


@pytest.mark.parametrize("num_trials", [0, 1])
def test_a_study_without_results_has_a_table_and_a_headline(num_trials: int) -> None:
    trials = [trial(1, State.FAILED)] * num_trials
    shown(trials)
    report.as_csv(trials)
    assert "Best" not in report.headline(trials)


def test_the_headline_counts_states_and_names_the_best_complete_trial() -> None:
    trials = [
        trial(1, error=9), trial(2, State.PRUNED, error=5), trial(3, error=7),
        trial(4, State.FAILED), trial(5, State.FAILED, tags={"infeasible": "too wide"}),
    ]  # fmt: skip
    assert report.headline(trials) == (
        "5 trials: 2 complete, 1 pruned, 1 failed, 1 infeasible. Best: trial 3, validation MAE "
        "7.00 years (median of complete trials 8.00)."
    )


def test_lines_name_the_incumbent_and_the_time_left(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(report.time, "monotonic", lambda: now)

    def job(number: int, outcome: Outcome) -> Job:
        suggestion = Suggestion(number, {})
        return Job(number, suggestion, 0, (), epochs=10, title=f"t{number}", outcome=outcome)

    progress = report.Progress(num_trials=6, num_epochs=60, num_jobs=2)
    progress.known([job(1, Outcome(State.COMPLETE, 9.0))])
    trials = [
        job(2, Outcome(State.COMPLETE, 8.0)), job(3, Outcome(State.PRUNED, 5.0)),
        job(4, Outcome(State.FAILED, failure="no memory\nlong story")),
    ]  # fmt: skip
    progress.started(trials[0])
    progress.started(trials[1])
    now = 600.0
    progress.ended(trials[0])  # trial 3 has run as long and is not counted as work to do
    progress.started(trials[2])
    progress.ended(trials[1])
    progress.retried(trials[2], Outcome(State.FAILED, failure="killed\nlong story"))
    now = 1200.0
    progress.ended(trials[2])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "trial 2 (2 of 6)  t2  val MAE 8.00  best so far  ETA 15 min"
    assert lines[1] == "trial 3 (3 of 6)  t3  val MAE 5.00  PRUNED  best: trial 2, 8.00  ETA 15 min"
    assert lines[2] == "trial 4  killed; it will be tried again"
    assert lines[3].startswith("trial 4 (4 of 6)  t4  FAILED  no memory  best: trial 2, 8.00")
    assert lines[3].endswith("ETA 10 min")
    assert len(lines) == 4
