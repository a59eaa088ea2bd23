"""Trial after trial in one process, on one traced model; and the same trials each on its own."""

import keras
import pytest

from src.training import program
from tests.integration.stored import same_numbers

pytestmark = pytest.mark.slow

OTHER = ["seed=3", "data.batch_size=16", "model.dropout_rate=0.6", "optimizer.learning_rate=3e-3"]


@pytest.fixture(autouse=True)
def start_with_none() -> None:
    program.forget_kept_model()


@pytest.mark.parametrize(
    "shape",
    [
        ["optimizer=adam", "schedule=constant"],
        ["optimizer=adamw", "schedule=warmup_cosine"],
        ["optimizer=sgd", "schedule=cosine", "optimizer.learning_rate=1e-4"],
        ["fit.precision=mixed_float16"],
        ["model.dropout_position=after_pooling", "model.hidden_units=[4]"],
    ],
    ids=" ".join,
)
def test_used_model_gives_the_numbers_of_a_new_one(run, shape) -> None:
    first = run(*shape)
    other = run(*OTHER, *shape)
    again = run("study.name=again", *shape)
    assert same_numbers(first, again)
    assert not same_numbers(first, other)
    program.forget_kept_model()
    assert same_numbers(other, run("study.name=cold", *OTHER, *shape))


def test_learning_rate_dropout_batch_size_and_seed_need_no_new_trace(run, traces) -> None:
    run()
    assert traces
    traces.clear()
    run(*OTHER)
    run("model.dropout_rate=0", "augmentation=none", "fit.epochs=2", "data.num_images=50")
    assert not traces


def test_schedule_follows_the_new_peak_and_length(run) -> None:
    cold = run("schedule=warmup_cosine", "fit.epochs=3", "optimizer.learning_rate=1e-4")
    program.forget_kept_model()
    run("schedule=warmup_cosine", "fit.epochs=5", "optimizer.learning_rate=1e-2")
    warm = run(
        "schedule=warmup_cosine", "fit.epochs=3", "optimizer.learning_rate=1e-4", "study.name=w"
    )
    rates = [[e["learning_rate"] for e in trial.history.epochs] for trial in (cold, warm)]
    assert rates[0] == rates[1]
    assert same_numbers(cold, warm)


def test_warm_up_of_no_step_is_another_program(run) -> None:
    short = ["schedule=warmup", "schedule.warmup_epochs=0.1"]  # 36 faces: 5 steps of 8, 1 of 40
    longer = ["schedule=warmup", "schedule.warmup_epochs=0.2"]
    cold = run(*longer, "study.name=cold")
    program.forget_kept_model()
    run(*short, "data.batch_size=40")
    assert same_numbers(run(*longer), cold)
    assert cold.history.epochs[-1]["learning_rate"] > 0


def test_another_program_takes_the_kept_ones_place(run) -> None:
    run()
    (kept,) = program._kept
    run("model.hidden_units=[3]")
    (now,) = program._kept
    assert now is not kept


def test_resumed_trial_on_a_used_model_comes_to_the_same_numbers(run, run_until_epoch) -> None:
    undisturbed = run("study.name=undisturbed")
    run_until_epoch(2)
    run(*OTHER, "study.name=between")
    assert same_numbers(run(), undisturbed)


def test_dropout_has_keras_own_masks(run) -> None:
    from src.model.dropout import drop

    if keras.backend.backend() != "tensorflow":
        pytest.skip("the masks of other backends are not compared")
    ones = keras.ops.ones((50, 40))
    seed = keras.ops.convert_to_tensor([3, 7])
    ours = keras.ops.convert_to_numpy(drop(ones, 0.3, seed))
    seeds = keras.random.SeedGenerator(0)
    seeds.state.assign([3, 7])
    theirs = keras.ops.convert_to_numpy(keras.random.dropout(ones, 0.3, seed=seeds))
    assert ours == pytest.approx(theirs)
    assert 0.2 < (ours == 0).mean() < 0.4
