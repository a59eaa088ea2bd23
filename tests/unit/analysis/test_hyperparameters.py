import numpy as np
import pytest

from src.analysis.effects.hyperparameters import Factor, always_changed_with, design, in_design


def test_levels_are_sorted_as_numbers_and_compared_with_the_lowest() -> None:
    factor = Factor("optimizer.learning_rate", ("0.0003", "1e-05", "0.0001"))
    assert factor.label == "learning_rate"
    assert factor.levels == ("1e-05", "0.0001", "0.0003")
    assert factor.is_logarithmic
    assert [(each.low, each.high) for each in factor.contrasts] == [
        ("1e-05", "0.0001"), ("1e-05", "0.0003"),
    ]  # fmt: skip
    assert factor.terms.tolist() == [[0, 1], [0, 0], [1, 0]]


def test_trend_is_the_line_through_the_levels() -> None:
    """Effects 0, 1, 5 at 0, 1, 3: the line's slope is 12/7, and the way is 3."""
    factor = Factor("model.dropout_rate", ("0", "1", "3"))
    slope = np.polyfit([0, 1, 3], [0, 1, 5], 1)[0]
    assert factor.trend is not None
    assert factor.trend.weights @ [1, 5] == pytest.approx(slope * 3)
    assert (factor.trend.low, factor.trend.high) == ("0", "3")


def test_many_values_are_a_line_over_the_span() -> None:
    factor = Factor("x.y", tuple(str(10.0**-n) for n in range(8)))
    assert factor.is_line
    assert factor.terms.shape == (8, 1)
    assert factor.trend is not None
    assert factor.trend.weights == pytest.approx([7])  # seven factors of ten
    assert factor.contrasts == (factor.trend,)


def test_values_that_are_not_numeric_have_levels_and_no_order() -> None:
    words = Factor("model.freeze", ("none", "backbone", "conv4"))
    assert words.numbers is None
    assert words.trend is None
    assert len(words.contrasts) == 2
    for pair in (("none", "all"), ("[]", "[48]"), ("None", "0.0001")):
        assert Factor("a.b", pair).trend is None  # they have no order
    assert Factor("a.b", ("True", "False")).levels == ("False", "True")
    assert Factor("a.b", ("True", "False")).trend is not None


def test_weights_of_a_factor_are_in_its_columns_of_the_design() -> None:
    one, two = Factor("a.one", ("1", "2", "3", "1")), Factor("a.two", ("x", "y", "x", "y"))
    assert design([one, two], 4).shape == (4, 4)
    assert in_design([one, two], two, np.array([5.0])).tolist() == [0, 0, 0, 5]


def test_keys_that_never_change_alone_are_found() -> None:
    """The seed study: dropout changed only together with batch size and learning rate."""
    rate = Factor("rate", ("1e-4", "1e-5", "3e-4"))
    batch, dropout = Factor("batch", ("16", "16", "32")), Factor("dropout", ("0", "0", "0.2"))
    units = Factor("units", ("[]", "[48]", "[]"))
    model = [rate, batch, dropout, units]
    assert always_changed_with(model, dropout) == ("rate", "batch")
    assert always_changed_with(model, rate) == ()  # each of the others stays in some pair
    assert always_changed_with(model, units) == ("rate",)
