import pytest

from src.config import configuration_hash, flatten


def test_names_and_paths_do_not_change_the_hash(compose_config, tmp_path) -> None:
    plain = configuration_hash(compose_config())
    for override in (
        "study=seed",
        "tracking.keep_model=all",
        f"data.cache_dir={tmp_path}",
        "fit.resume=false",
        "fit.eval_batch_size=8",
        "data.columns.age=years",
        "pruner=asha",
        "study.run_id=0123456789abcdef",
        "fit.fidelity=20",  # all epochs
    ):
        assert configuration_hash(compose_config(override)) == plain


@pytest.mark.parametrize(
    "override",
    ["seed=1", "optimizer.learning_rate=2e-4", "data.batch_size=16", "model.hidden_units=[48]",
     "optimizer=adamw", "data.limit=100", "data.split.seed=1", "augmentation=none",
     "model.weights=null", "fit.fidelity=19"],
)  # fmt: skip
def test_every_hyperparameter_changes_the_hash(compose_config, override) -> None:
    assert configuration_hash(compose_config(override)) != configuration_hash(compose_config())


def test_same_value_spelled_differently_has_the_same_hash(compose_config) -> None:
    spellings = ["optimizer.learning_rate=1e-4", "optimizer.learning_rate=0.0001"]
    assert len({configuration_hash(compose_config(text)) for text in spellings}) == 1


def test_flat_names_are_the_command_lines_keys(compose_config) -> None:
    flat = flatten(compose_config("optimizer.learning_rate=3e-4", "model.hidden_units=[48]"))
    assert flat["optimizer.learning_rate"] == 3e-4
    assert flat["model.hidden_units"] == [48]
    assert flat["data.split.method"] == "stratified"
    assert flat["data.limit"] is None
