import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from src.analysis.effects.numbers import ALPHA, Effects, estimate_effects
from src.config.study_schema import ClaimOutcome
from tests.unit.analysis.made_data import study_data
from tests.unit.analysis.made_study import grid


def on_mae(effects: Effects) -> dict[tuple[str, str], float]:
    return {
        (effect.key, effect.high): effect.value
        for effect in effects.effects
        if effect.outcome is ClaimOutcome.val_mae
    }


def slow_learning(configuration) -> float:
    return 3.0 * (configuration["optimizer.learning_rate"] == "1e-05")


def test_effects_agree_with_statsmodels() -> None:
    study = study_data(effect=slow_learning, with_faces=False)
    found = estimate_effects(study)
    table = pd.DataFrame([trial.params for trial in study.compared])
    table.columns = [name.rpartition(".")[2] for name in table]
    table["mae"] = study.values("best/val_mae")
    peer = smf.ols(
        "mae ~ C(learning_rate, Treatment('1e-05')) + C(batch_size) + C(dropout_rate)", table
    ).fit()
    (effect,) = [
        each
        for each in found.effects
        if each.high == "0.0003" and each.outcome is ClaimOutcome.val_mae
    ]
    (name,) = [term for term in peer.params.index if "0.0003" in term]
    assert effect.value == pytest.approx(peer.params[name])
    assert (effect.estimate.low, effect.estimate.high) == pytest.approx(
        tuple(peer.conf_int().loc[name])
    )
    assert found.degrees_of_freedom == peer.df_resid


def test_only_a_real_effect_is_significant_and_has_its_sign() -> None:
    found = estimate_effects(study_data(effect=slow_learning, spread=0.1))
    standing = {each.key for each in found.effects if each.p_adjusted < ALPHA}
    assert standing == {"optimizer.learning_rate"}
    assert on_mae(found)["optimizer.learning_rate", "0.0001"] == pytest.approx(-3, abs=0.5)


def test_a_null_sweep_flags_no_effect_in_95_percent_of_studies() -> None:
    studies = [
        estimate_effects(study_data(num_seeds=1, num_faces=60, seed=seed)) for seed in range(300)
    ]
    effects = np.mean([any(each.p_adjusted < ALPHA for each in found.effects) for found in studies])
    pairs = np.mean(
        [any(each.p_adjusted < ALPHA for each in found.interactions) for found in studies]
    )
    assert effects <= 0.05 + 0.025  # two standard errors of 300 simulations
    assert pairs <= 0.05 + 0.025


def test_interaction_is_found_and_sized() -> None:
    def only_together(configuration) -> float:
        big = configuration["data.batch_size"] == "32"
        return 4.0 * (big and configuration["model.dropout_rate"] == "0.2")

    found = estimate_effects(study_data(effect=only_together, spread=0.05))
    strongest = found.interactions[0]
    assert strongest.keys == ("data.batch_size", "model.dropout_rate")
    assert strongest.p_adjusted < ALPHA
    assert strongest.largest == pytest.approx(1.0, abs=0.2)  # a quarter of 4, in each cell


def test_importance_finds_the_key_with_an_effect_and_is_low_without_one() -> None:
    found = estimate_effects(study_data(effect=slow_learning))
    assert next(iter(found.importances)) == "optimizer.learning_rate"
    assert found.forest_score > 0.3
    assert estimate_effects(study_data()).forest_score < 0.3


@pytest.mark.parametrize("num_trials", [0, 1, 2])
def test_few_trials_have_no_intervals_and_raise_nothing(num_trials: int) -> None:
    found = estimate_effects(study_data(grid()[:num_trials], num_seeds=1))
    assert found.degrees_of_freedom == 0  # or there is nothing to fit
    assert all(each.estimate is None for each in found.effects)


def test_equal_errors_have_no_importance() -> None:
    same = study_data(spread=0.0)
    for trial in same.trials:
        trial.metrics["best/val_mae"] = 7.0
    assert estimate_effects(same).importances == {}


def random_space(keys, count=30, seed=0):
    rng = np.random.default_rng(seed)
    return [{key: f"{10 ** rng.uniform(-5, -3):.6g}" for key in keys} for _ in range(count)]


def test_keys_of_one_group_in_a_continuous_space_are_separated() -> None:
    decay = "optimizer.weight_decay"
    study = study_data(
        random_space(["optimizer.learning_rate", decay]),
        lambda c: 1.5 * (5 + np.log10(float(c[decay]))), num_seeds=1,
    )  # fmt: skip
    found = estimate_effects(study)
    assert study.keys == ("optimizer.learning_rate", decay)
    assert {each.key for each in found.effects if each.p_adjusted < ALPHA} == {decay}
    (effect,) = [e for e in found.effects if e.key == decay and e.outcome is ClaimOutcome.val_mae]
    assert effect.value == pytest.approx(3.0, abs=0.4)  # two decades


def test_keys_of_an_augmentation_are_merged_and_listed() -> None:
    both = [
        {"augmentation.rotation_degrees": turn, "augmentation.vertical_flip": flip}
        for turn, flip in (("0.0", "False"), ("90.0", "True"))
    ]
    study = study_data(both, num_seeds=3)
    assert study.merged == {"augmentation.rotation_degrees": ("augmentation.vertical_flip",)}


def test_keys_without_an_effect_on_numbers_are_no_hyperparameters() -> None:
    study = study_data(grid()[:2])
    for trial, folder in zip(study.trials, "abab", strict=True):
        trial.params.update({"data.root": folder, "tracking.keep_model": folder, "num_val": folder})
    assert study.keys == ("model.dropout_rate",)
    assert study.has_replicates


def test_a_diverged_trial_is_not_compared() -> None:
    study = study_data(effect=slow_learning, spread=0.1)
    study.trials[5].metrics["best/val_mae"] = 5e4
    assert len(study.compared) == 23
    assert study.trials[5] not in study.compared


def test_trials_of_a_lower_fidelity_are_left_out() -> None:
    study = study_data(grid()[:4], num_seeds=1)
    for trial, fidelity in zip(study.trials, ("1", "27", "27", "None"), strict=True):
        trial.params.update({"fit.epochs": "27", "fit.fidelity": fidelity})
    assert [trial.number for trial in study.compared] == [2, 3, 4]
    assert "fit.fidelity" not in study.keys
