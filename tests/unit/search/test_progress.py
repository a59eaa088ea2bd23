import pytest

from src.config import Objective
from src.config.study_schema import Direction
from src.core.names import State
from src.records.terms import Terms
from src.search import progress
from src.search.loop import Job, Outcome
from src.search.search import Suggestion


def test_lines_name_the_incumbent_and_the_time_left(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)

    def job(number: int, outcome: Outcome) -> Job:
        suggestion = Suggestion(number, {})
        return Job(number, suggestion, 0, (), epochs=10, title=f"t{number}", outcome=outcome)

    shown = progress.Progress(num_trials=6, num_epochs=60, num_jobs=2, terms=Terms())
    shown.known([job(1, Outcome(State.COMPLETE, 9.0, 9.0))])
    trials = [
        job(2, Outcome(State.COMPLETE, 8.0, 8.0)), job(3, Outcome(State.PRUNED, 5.0, 5.0)),
        job(4, Outcome(State.FAILED, failure="no memory\nlong story")),
    ]  # fmt: skip
    shown.started(trials[0])
    shown.started(trials[1])
    now = 600.0
    shown.ended(trials[0])  # trial 3 has run as long and is not counted as work to do
    shown.started(trials[2])
    shown.ended(trials[1])
    shown.retried(trials[2], Outcome(State.FAILED, failure="killed\nlong story"))
    now = 1200.0
    shown.ended(trials[2])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "trial 2 (2 of 6)  t2  val MAE 8.00  best so far  ETA 15 min"
    assert lines[1] == "trial 3 (3 of 6)  t3  val MAE 5.00  PRUNED  best: trial 2, 8.00  ETA 15 min"
    assert lines[2] == "trial 4  killed; it will be tried again"
    assert lines[3].startswith("trial 4 (4 of 6)  t4  FAILED  no memory  best: trial 2, 8.00")
    assert lines[3].endswith("ETA 10 min")
    assert len(lines) == 4


def test_lines_show_the_objective_of_the_study(capsys: pytest.CaptureFixture) -> None:
    objective = Objective("val/accuracy", Direction.maximize)
    shown = progress.Progress(2, 2, 1, Terms(objective=objective))
    for number, value in ((1, 0.5), (2, 0.75)):
        outcome = Outcome(State.COMPLETE, value, objective.cost(value))
        job = Job(number, Suggestion(number, {}), 0, (), epochs=1, outcome=outcome)
        shown.started(job)
        shown.ended(job)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("trial 1 (1 of 2)  val/accuracy 0.50  best so far")
    assert lines[1].startswith("trial 2 (2 of 2)  val/accuracy 0.75  best so far")
