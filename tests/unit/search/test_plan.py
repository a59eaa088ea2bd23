"""Predicted cost of a study, computed by hand."""

import dataclasses
import math
from types import SimpleNamespace

import pytest

from src.config.identity import cost_shape
from src.search import plan
from src.search.launch import simulate
from src.search.plan import PlannedTrial
from src.search.search import Suggestion
from src.training.timing import Timing

pytestmark = pytest.mark.slow  # importing the timing imports TensorFlow

TIMING = Timing(start_seconds=40, warm_start_seconds=2, epoch_seconds=10, end_seconds=5,
                state_bytes=4e8, model_bytes=1e8)  # fmt: skip


def trials(compose_config, count: int, *overrides: str, epochs: int = 6) -> list[PlannedTrial]:
    return [PlannedTrial(compose_config(*overrides), epochs)] * count


def timed(trials: list[PlannedTrial]) -> dict:
    return {cost_shape(trial.config): TIMING for trial in trials}


def test_trials_that_take_equally_long_have_one_shape(compose_config) -> None:
    base = cost_shape(compose_config("model.dropout_rate=0"))
    assert cost_shape(compose_config("model.dropout_rate=0.2", "seed=3")) == base
    assert cost_shape(compose_config("optimizer.learning_rate=1e-2")) == base
    assert cost_shape(compose_config("data.batch_size=16")) != base
    assert cost_shape(compose_config("data.limit=100")) != base
    assert cost_shape(compose_config("augmentation=standard")) != base


@pytest.mark.parametrize(
    "override",
    ["model.loss=mse", "model.backbone=tiny", "model.hidden_units=[48]", "fit.jit_compile=true"],
)
def test_key_that_changes_the_cost_of_a_step_has_its_own_shape(
    compose_config, override: str
) -> None:
    common = [
        "model.weights=null",
        "model.freeze=none",
        "model.loss=mae",
        "fit.deterministic=false",
    ]
    base, changed = compose_config(*common), compose_config(*common, override)
    both = [PlannedTrial(config, 1) for config in (base, changed)]
    rows = plan.table(both, timed(both), num_jobs=1)
    assert len(list(rows.columns[0].cells)) == 2


def test_time_is_that_of_the_longest_queue(compose_config) -> None:
    five = trials(compose_config, 5)
    one_by_one = plan.cost(five, timed(five), num_jobs=1, num_waiting=0)
    assert one_by_one.seconds == 40 + 4 * 2 + 5 * (6 * 10 + 5)
    assert one_by_one.num_epochs == 30
    two_at_once = plan.cost(five, timed(five), num_jobs=2, num_waiting=0)
    assert two_at_once.seconds == 40 + 2 * 2 + 3 * (6 * 10 + 5)
    assert plan.cost([], {}, num_jobs=2, num_waiting=0).seconds == 0


def test_process_starts_again_where_the_program_changes(compose_config) -> None:
    adam = trials(compose_config, 1, "optimizer=adam")
    sgd = trials(compose_config, 1, "optimizer=sgd")
    timings = timed(adam + sgd)
    in_a_row = plan.cost(adam * 2 + sgd * 2, timings, num_jobs=1, num_waiting=0)
    by_turns = plan.cost((adam + sgd) * 2, timings, num_jobs=1, num_waiting=0)
    assert in_a_row.seconds == 2 * 40 + 2 * 2 + 4 * 65
    assert by_turns.seconds == 4 * 40 + 4 * 65
    two_at_once = plan.cost((adam + sgd) * 2, timings, num_jobs=2, num_waiting=0)
    assert two_at_once.seconds == 40 + 2 + 2 * 65


def test_table_has_a_row_for_each_shape(compose_config) -> None:
    both = [*trials(compose_config, 2), *trials(compose_config, 1, "data.batch_size=7")]
    rows = plan.table(both, timed(both), num_jobs=1)
    cells = [list(column.cells) for column in rows.columns]
    assert cells[0] == ["batch_size 32", "batch_size 7"]
    assert cells[1:4] == [["2", "1"], ["12", "6"], ["40 s", "40 s"]]
    assert cells[4] == ["2 s", "2 s"]
    assert cells[6] == ["86 s", "67 s"]  # one of the first two starts again


@pytest.mark.parametrize(
    ("keep", "num_models"), [("all", 9), ("none", 0), ("best", math.ceil(1 + math.log(9)))]
)
def test_disk_holds_models_and_the_states_of_what_runs_or_waits(
    compose_config, keep: str, num_models: int
) -> None:
    nine = trials(compose_config, 9, f"tracking.keep_model={keep}")
    total = plan.cost(nine, timed(nine), num_jobs=2, num_waiting=3)
    assert total.final_bytes == num_models * 1e8 + 9e6
    assert total.peak_bytes == total.final_bytes + 5 * 4e8


def test_promoted_trial_costs_what_it_adds() -> None:
    suggestions = [Suggestion(0, {}, epochs=3), Suggestion(1, {}, epochs=9, promoted_from=0)]
    asked = iter([*suggestions, Suggestion(2, {}), None])
    search = SimpleNamespace(
        ask=lambda: next(asked), is_sequential=True, waiting_for_promotion=lambda: {0}
    )
    simulated = simulate(SimpleNamespace(make_search=lambda: search, max_epochs=9))
    assert [epochs for _, epochs, _ in simulated] == [3, 6, 9]


def test_plan_is_compared_with_the_run_it_was_made_for_and_no_other(
    compose_config, in_tmp_path
) -> None:
    total = plan.cost(trials(compose_config, 5), timed(trials(compose_config, 5)), 1, 0)
    launch = SimpleNamespace(study="s", definition={"rate": "a"}, base=compose_config())
    pruned = SimpleNamespace(**vars(launch) | {"base": compose_config("pruner=asha")})
    other = SimpleNamespace(**vars(launch) | {"definition": {"rate": "b"}})
    assert plan.recall(launch, 5, 2) is None
    plan.remember(launch, total, 2)
    assert plan.recall(launch, 5, 2) == total.seconds
    assert plan.recall(launch, 5, 1) is None
    assert plan.recall(other, 5, 2) is None
    assert plan.recall(pruned, 5, 2) is None
    assert plan.recall(launch, 4, 2) is None
    assert dataclasses.asdict(total)["num_trials"] == 5
