import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from src.config.schema import AugmentationConfig
from src.data.batches import TrainingBatches, view_images
from src.data.dataset import Part

NONE = AugmentationConfig(False, False, 0, 0, 0, 0, 0, None)
STANDARD = AugmentationConfig(True, False, 15, 0.05, 0.1, 0.1, 0.1, None)
VIEWS = dataclasses.replace(STANDARD, cached_views=3)


def numbered_part(count: int) -> Part:
    """Picture i is filled with the value i, and its face is i years old."""
    pixels = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    faces = pd.DataFrame({"image_index": range(count), "age": np.arange(float(count))})
    return Part(faces, np.arange(count, dtype=np.float32), pixels)


@given(st.integers(1, 60), st.integers(1, 64), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_an_epoch_holds_every_face_once_with_its_own_age(
    count: int, batch_size: int, epoch: int, seed: int
) -> None:
    batches = TrainingBatches(numbered_part(count), batch_size, NONE, seed)
    images, ages = zip(*(batches.batch(epoch, i) for i in range(len(batches))), strict=True)
    ages = np.concatenate(ages)
    assert ages.shape == (count, 1)
    assert sorted(ages[:, 0]) == list(range(count))
    assert np.array_equal(np.concatenate(images)[:, 0, 0, 0], ages[:, 0])


def test_order_differs_between_epochs_and_seeds_and_repeats_otherwise() -> None:
    part = numbered_part(50)

    def order(seed: int, epoch: int) -> tuple:
        return tuple(TrainingBatches(part, 50, NONE, seed).batch(epoch, 0)[1][:, 0])

    assert len({order(0, 0), order(0, 1), order(1, 0)}) == 3
    assert order(0, 1) == order(0, 1)


def noisy_part(count: int) -> Part:
    """Faces whose order is not that of their pictures."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 16, 16, 3), np.uint8)
    faces = pd.DataFrame({"image_index": rng.permutation(count)})
    return Part(faces, np.arange(count, dtype=np.float32), pixels)


def test_pictures_are_drawn_again_in_each_epoch_and_do_not_depend_on_threads() -> None:
    batches = TrainingBatches(noisy_part(30), 8, STANDARD, seed=5)
    numbers = [(epoch, number) for epoch in range(3) for number in range(len(batches))]
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(lambda each: batches.batch(*each)[0], numbers))
    for (epoch, number), images in zip(numbers, beside, strict=True):
        assert np.array_equal(images, batches.batch(epoch, number)[0])
    shown = {face: set() for face in range(30)}
    for (epoch, number), images in zip(numbers, beside, strict=True):
        for face, image in zip(batches.chosen(epoch, number)[0], images, strict=True):
            shown[face].add(image.tobytes())
    assert all(len(images) == 3 for images in shown.values())


@given(st.integers(1, 40), st.integers(1, 64), st.integers(1, 4), st.integers(0, 3),
       st.integers(0, 2**32 - 1))  # fmt: skip
def test_batch_shows_the_views_that_were_chosen(
    count: int, batch_size: int, num_views: int, epoch: int, seed: int
) -> None:
    part = noisy_part(count)
    augmentation = dataclasses.replace(STANDARD, cached_views=num_views)
    batches = TrainingBatches(part, batch_size, augmentation, seed)
    views = np.stack(
        [view_images(part, np.arange(count), augmentation, view) for view in range(num_views)]
    )
    for number in range(len(batches)):
        images, ages = batches.batch(epoch, number)
        places, shown = batches.chosen(epoch, number)
        assert np.array_equal(images, views[shown, places])
        assert np.array_equal(ages[:, 0], part.labels[places])


def test_views_of_a_face_differ_and_do_not_depend_on_what_they_are_asked_with() -> None:
    part = noisy_part(20)
    views = [view_images(part, np.arange(20), VIEWS, view) for view in range(3)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (views[one] != views[other]).any(axis=(1, 2, 3)).all()
    some = np.array([13, 2, 2])
    assert np.array_equal(view_images(part, some, VIEWS, 1), views[1][some])
    more = dataclasses.replace(VIEWS, cached_views=9)
    assert np.array_equal(view_images(part, some, more, 1), views[1][some])
    assert view_images(part, some[:0], VIEWS, 1).shape == (0, 16, 16, 3)


def test_trials_of_other_seeds_show_the_same_views_in_another_order() -> None:
    part = noisy_part(20)

    def shown(seed: int) -> dict[tuple[int, int], bytes]:
        batches = TrainingBatches(part, 20, VIEWS, seed)
        found = {}
        for epoch in range(30):
            images = batches.batch(epoch, 0)[0]
            for place, view, image in zip(*batches.chosen(epoch, 0), images, strict=True):
                assert found.setdefault((place, view), image.tobytes()) == image.tobytes()
        return found

    one, other = shown(0), shown(1)
    assert one == other  # the same keys too: each of 20 faces in each of 3 views
    assert len(one) == 60
    first = [TrainingBatches(part, 20, VIEWS, seed).chosen(0, 0) for seed in (0, 1)]
    assert not np.array_equal(first[0][0], first[1][0])
    assert not np.array_equal(first[0][1], first[1][1])


def test_views_are_shown_equally_often() -> None:
    batches = TrainingBatches(numbered_part(50), 10, VIEWS, seed=0)
    views = [batches.chosen(epoch, number)[1] for epoch in range(60) for number in range(5)]
    counts = np.bincount(np.concatenate(views), minlength=3)
    assert len(counts) == 3
    assert np.abs(counts - 1000).max() < 100  # nearly four standard deviations of 26


def test_order_is_the_same_with_and_without_views() -> None:
    part = numbered_part(50)
    places = [
        TrainingBatches(part, 8, augmentation, 3).chosen(2, 1)[0]
        for augmentation in (NONE, STANDARD, VIEWS)
    ]
    assert np.array_equal(places[0], places[1])
    assert np.array_equal(places[0], places[2])


def test_where_nothing_changes_the_pictures_there_is_one_view_of_them() -> None:
    part = noisy_part(20)
    for augmentation in (NONE, STANDARD, dataclasses.replace(NONE, cached_views=4)):
        assert not TrainingBatches(part, 20, augmentation, 0).chosen(0, 0)[1].any()
    unchanged = dataclasses.replace(NONE, cached_views=4)
    places = np.array([4, 19])
    assert np.array_equal(view_images(part, places, unchanged, 2), part.inputs(places))
    batches = TrainingBatches(part, 20, unchanged, 0)
    assert np.array_equal(batches.batch(0, 0)[0], part.inputs(batches.chosen(0, 0)[0]))
