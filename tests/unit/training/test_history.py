import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config import Objective
from src.training.history import History


def history(*val_maes: float) -> History:
    done = History("run")
    for epoch, value in enumerate(val_maes, start=1):
        done = done.plus({"epoch": epoch, "mae/val": value, "time/epoch_seconds": 10.0 / epoch})
    return done


def test_nothing_done_has_no_best_epoch_and_does_not_stop() -> None:
    assert history().best_epoch == 0
    assert not history().stops_early(1)


def test_first_of_equal_epochs_is_the_best() -> None:
    assert history(9, 7, 7, 8).best_epoch == 2


@pytest.mark.parametrize(
    ("val_maes", "patience", "stops"),
    [((9, 7, 8), 1, True), ((9, 7, 8), 2, False), ((9, 7, 8, 8), 2, True),
     ((9, 8, 7), 1, False), ((9, 7, 8, 8, 8), None, False)],
)  # fmt: skip
def test_stops_after_so_many_epochs_without_a_better_one(val_maes, patience, stops) -> None:
    assert history(*val_maes).stops_early(patience) is stops


def test_typical_leaves_the_first_epoch_out_if_there_are_more() -> None:
    assert history(9).typical("time/epoch_seconds") == 10
    assert history(9, 9, 9, 9).typical("time/epoch_seconds") == pytest.approx(10 / 3)


@given(st.lists(st.floats(0, 100), min_size=1))
def test_best_epoch_has_the_lowest_error_and_the_earlier_history_is_kept(values) -> None:
    done = history(*values)
    assert done.epochs[done.best_epoch - 1]["mae/val"] == min(values)
    assert done.plus({"mae/val": 0.0}).epochs[:-1] == done.epochs


def test_objective_of_the_last_epoch_keeps_the_last_epoch() -> None:
    last = History("run", history(9, 7, 8).epochs, Objective("last/val_mae"))
    assert (last.best_epoch, last.kept_epoch) == (2, 3)
    assert history(9, 7, 8).kept_epoch == 2
    assert last.stops_early(1)
