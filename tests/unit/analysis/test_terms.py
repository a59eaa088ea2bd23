"""Target and objective in the words and the ranking of a report."""

import re
from dataclasses import replace

import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from src.analysis.document import study_document
from src.analysis.leaderboard.numbers import leaderboard
from src.analysis.references import read_reference
from src.analysis.study_data import StudyData, comparable
from src.config import Objective, TargetConfig
from src.config.study_schema import Direction
from src.pages.blocks import Document
from src.pages.html import as_html
from src.pages.markdown import as_markdown
from src.records.terms import Terms
from tests.unit.analysis.made_data import claim, record, study_data
from tests.unit.analysis.made_study import grid

SIZE = TargetConfig("size", "mm", [0, 300], [[0, 99], [100, 300]])
WORDS_OF_AGE = re.compile(r"\b(ages?|years?)\b", re.IGNORECASE)


def texts_of(document: Document) -> str:
    """All that a reader can see: page, Markdown, tables, and the texts of the figures."""
    written = [
        label.get_text()
        for picture in document.pictures
        for label in picture.figure.findobj(matplotlib.text.Text)
    ]
    tables = [table.csv for table in document.tables]
    html = as_html(document).replace(get_plotlyjs(), "")
    return "\n".join([html, as_markdown(document), *tables, *written])


def with_curves(study: StudyData) -> StudyData:
    curves = [
        pd.DataFrame({"run_id": trial.run_id, "epoch": range(1, 5), "mae/train": [9, 7, 5, 3],
                      "mae/val": [10, 8, 8.5, 9], "time/epoch_seconds": 10.0})
        for trial in study.trials
    ]  # fmt: skip
    return replace(study, curves=pd.concat(curves))


def test_report_of_another_target_has_no_word_of_age() -> None:
    """Both with and without errors of single faces."""
    terms = Terms(SIZE, Objective("last/val_mae"))
    claims = [claim(), claim("data.batch_size", "gap"), claim(None, "seconds_per_epoch")]
    for with_faces in (True, False):
        study = study_data(terms=terms, claims=claims, with_faces=with_faces,
                           effect=lambda c: 3.0 * (c["data.batch_size"] == "32"))  # fmt: skip
        document = study_document(with_curves(study), [b"\xff\xd8"] * 12 if with_faces else ())
        text = texts_of(document)
        assert WORDS_OF_AGE.findall(text) == []
        assert "last MAE [95 %]" in text
        assert "always the median size" in text
        if with_faces:
            assert "size_bands" in {table.name for table in document.tables}
            assert "MAE (mm)" in text


def test_default_target_is_named() -> None:
    text = texts_of(study_document(with_curves(study_data())))
    for words in ("validation MAE (years)", "MAE (years)", "always the median age", "age (years)"):
        assert words in text


def test_objective_without_errors_of_faces_is_ranked_without_a_test() -> None:
    terms = Terms(objective=Objective("time/seconds_per_epoch", Direction.maximize))
    study = study_data(terms=terms)
    board = leaderboard(study)
    values = [row.value for row in board.leaders]
    assert values == sorted(values, reverse=True)
    assert not board.is_tested
    assert all(row.could_be_best is None for row in board.leaders)
    assert "No test: time/seconds_per_epoch is not an error" in board.method
    text = texts_of(study_document(study))
    assert "could be" not in text
    assert "not significantly worse" not in text


def test_last_epoch_is_compared_by_its_own_errors() -> None:
    best, last = study_data(), study_data(terms=Terms(objective=Objective("last/val_mae")))
    ranks = [leaderboard(study).leaders for study in (best, last)]
    assert [row.value + 0.1 for row in ranks[0]] == pytest.approx([row.value for row in ranks[1]])
    assert [row.low for row in ranks[0]] == [row.low for row in ranks[1]]
    assert leaderboard(last).is_tested
    assert ranks[1][0].gap == pytest.approx(ranks[0][0].gap + 0.1)


def test_trials_without_the_objective_are_not_compared() -> None:
    trials = [
        record(1, {}, {"best/val_mae": 5.0, "best/gap": 1.0}), record(2, {}, {"best/val_mae": 4.0})
    ]  # fmt: skip
    assert len(comparable(trials, Objective())) == 2
    assert [trial.number for trial in comparable(trials, Objective("best/gap"))] == [1]


def test_recorded_results_are_shown_beside_studies_that_name_them() -> None:
    reference = read_reference("seed_recorded")
    study = replace(study_data(), reference=reference)
    text = texts_of(study_document(study))
    assert "seed_recorded, trial 3" in text
    assert "5.98 [5.74, 6.22]" in text
    assert reference.caveat in text
    assert "seed_recorded" not in texts_of(study_document(study_data()))


def test_recorded_results_in_another_unit_are_not_shown() -> None:
    study = study_data(terms=Terms(SIZE, Objective("last/val_mae")))
    named = replace(study, reference=read_reference("seed_recorded"))
    assert "seed_recorded" not in texts_of(study_document(named))


def test_band_errors_count_only_labels_in_a_band() -> None:
    study = study_data(grid()[:1], num_seeds=1, terms=Terms(SIZE, Objective()))
    labels = study.measured["val"].faces["label"].to_numpy()
    (table,) = [each for each in study_document(study).tables if each.name == "size_bands"]
    assert list(table.cells["size"]) == ["0-99"]
    assert list(table.cells["n"]) == [str(np.sum(labels < 100))]


def test_labels_outside_all_bands_give_no_table_of_bands() -> None:
    target = replace(SIZE, bands=[[200, 300]])
    document = study_document(study_data(terms=Terms(target, Objective())), [b"\xff\xd8"] * 12)
    assert "size_bands" not in {table.name for table in document.tables}
    assert as_html(document)
