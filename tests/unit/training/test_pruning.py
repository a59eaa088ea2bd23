import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config.study_schema import PrunerConfig, PrunerName
from src.training.pruning import epochs_spent, is_due, reason_to_prune

LAST = 20


def median(warmup_epochs: int = 1, min_trials: int = 1) -> PrunerConfig:
    return PrunerConfig(PrunerName.median, warmup_epochs, min_trials, reduction_factor=2)


def asha(warmup_epochs: int = 1, reduction_factor: int = 3) -> PrunerConfig:
    return PrunerConfig(PrunerName.asha, warmup_epochs, 1, reduction_factor)


NONE = PrunerConfig(PrunerName.none, 1, 1, 2)
pruners = st.builds(
    PrunerConfig, st.sampled_from(PrunerName), st.integers(1, 4), st.integers(1, 4),
    st.integers(2, 4),
)  # fmt: skip
curves = st.lists(st.floats(0, 100), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("own", "siblings", "pruned"),
    [
        ([9], [[8], [10], [7]], True),  # median 8
        ([8], [[8], [10], [7]], False),  # equal to it
        ([9], [[8], [10]], False),  # median 9
        ([9.1], [[8], [10]], True),
        ([5, 11], [[9, 8], [9, 6]], False),  # best so far 5, not 11
        ([9, 8], [[7, 12], [6, 12]], True),  # theirs are 7 and 6
        ([9, 8], [[9, 9, 1]], False),  # what comes later does not count
        ([9, 9], [[1]], False),  # no other trial has come as far
        ([9], [], False),
    ],
)
def test_median_ends_a_trial_whose_best_is_worse_than_the_median(own, siblings, pruned) -> None:
    assert bool(reason_to_prune(median(), own, siblings, LAST)) is pruned


def test_median_waits_for_enough_trials_that_came_as_far() -> None:
    siblings = [[1, 1], [1, 1], [1]]
    assert not reason_to_prune(median(min_trials=3), [9, 9], siblings, LAST)
    assert reason_to_prune(median(min_trials=3), [9, 9], [*siblings, [1, 1]], LAST)


@pytest.mark.parametrize(
    ("own", "siblings", "pruned"),
    [
        ([9], [], False),  # the best of one
        ([9], [[8]], True),  # two trials, one may go on
        ([7], [[8]], False),
        ([8], [[8], [8], [8]], False),  # equals do not beat each other
        ([3], [[1], [2], [4], [5], [6]], True),  # rank 3 of 6, two may go on
        ([2], [[1], [3], [4], [5], [6]], False),  # rank 2 of 6
        ([2], [[1], [3], [4], [5]], True),  # rank 2 of 5, one may go on
    ],
)
def test_asha_keeps_the_best_third_at_a_rung(own, siblings, pruned) -> None:
    assert bool(reason_to_prune(asha(), own, siblings, LAST)) is pruned


def test_asha_decides_at_its_rungs_only() -> None:
    rungs = [epoch for epoch in range(1, 60) if is_due(asha(warmup_epochs=2), epoch, 60)]
    assert rungs == [2, 6, 18, 54]


def test_asha_compares_with_those_that_reached_the_rung() -> None:
    siblings = [[1], [1, 1], [9, 9, 9], [8, 9, 9, 1]]
    assert not reason_to_prune(asha(), [7, 7, 7], siblings, LAST)


def test_reason_names_the_numbers() -> None:
    assert reason_to_prune(median(), [9.25, 9.5], [[8, 8], [7, 7]], LAST) == (
        "validation MAE 9.25 by epoch 2 is worse than the median of 2 other trials, 7.50"
    )
    assert reason_to_prune(asha(), [9.25], [[8], [7]], LAST) == (
        "validation MAE 9.25 by epoch 1 is rank 3 of 3, 1 may continue"
    )


@pytest.mark.parametrize("pruner", [median(warmup_epochs=3), asha(warmup_epochs=3)])
def test_warmup_and_last_epoch_are_safe(pruner) -> None:
    best = [[0.0] * LAST] * 9
    ends = [bool(reason_to_prune(pruner, [9.0] * n, best, LAST)) for n in range(1, LAST + 1)]
    assert ends[:3] == [False, False, True]
    assert not ends[-1]
    assert not reason_to_prune(pruner, [9.0] * 3, best, last_epoch=3)


def test_trials_one_after_another_see_only_what_was_run() -> None:
    curves = [[5, 4, 3], [6, 1, 1], [4, 2, 2], [5, 5, 5]]
    # The second ends at its first epoch, so the third is compared with the first alone.
    assert epochs_spent(median(), curves) == [3, 1, 3, 2]
    assert epochs_spent(NONE, curves) == [3, 3, 3, 3]


@given(pruners, curves, st.lists(curves, max_size=8), st.randoms())
def test_order_of_siblings_does_not_matter(pruner, own, siblings, random) -> None:
    shuffled = random.sample(siblings, len(siblings))
    assert reason_to_prune(pruner, own, siblings, LAST) == reason_to_prune(
        pruner, own, shuffled, LAST
    )


@given(pruners, curves, st.lists(curves, max_size=8))
def test_best_of_all_is_never_pruned(pruner, own, siblings) -> None:
    own = [*own, min([*own, *(min(curve) for curve in siblings)])]
    assert not reason_to_prune(pruner, own, siblings, LAST)


@given(pruners, st.lists(st.lists(st.floats(0, 100), min_size=9, max_size=9), max_size=9))
def test_every_trial_gets_its_warmup_and_the_first_one_all_epochs(pruner, curves) -> None:
    spent = epochs_spent(pruner, curves)
    assert spent[:1] == [9][: len(curves)]
    assert all(pruner.warmup_epochs <= epochs <= 9 for epochs in spent)
