"""The benchmark's claims about recorded curves of real faces."""

import pytest

from tests.benchmarks.asha_against_grid import ASHA, PRUNERS, read_curves, run

pytestmark = pytest.mark.slow  # importing the pruners imports TensorFlow


def test_asha_finds_the_grids_best_for_a_third_of_its_epochs() -> None:
    curves = read_curves()
    assert [len(curve) for curve in curves] == [27] * 12
    found = run(curves, ASHA)
    assert found.share <= 1 / 3
    assert found.regret <= 0.1


def test_a_later_first_rung_costs_more() -> None:
    curves = read_curves()
    shares = [run(curves, pruner).share for name, pruner in PRUNERS.items() if "asha" in name]
    assert shares == sorted(shares)
