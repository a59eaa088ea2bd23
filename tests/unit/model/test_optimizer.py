import keras
import numpy as np
import pytest

from src.model.optimizer import build_optimizer, learning_rate

pytestmark = pytest.mark.slow


@pytest.fixture
def learning_rates(compose_config):
    """Learning rate at every step of ten epochs of ten steps."""

    def rates(*overrides: str) -> np.ndarray:
        config = compose_config("fit.epochs=10", "optimizer.learning_rate=1e-3", *overrides)
        rate = learning_rate(1e-3, config.schedule, 10, config.fit.epochs)
        optimizer = build_optimizer(config.optimizer, rate)
        values = []
        for step in range(101):
            optimizer.iterations.assign(step)
            values.append(float(keras.ops.convert_to_numpy(optimizer.learning_rate)))
        return np.array(values)

    return rates


def test_constant_stays(learning_rates) -> None:
    assert np.allclose(learning_rates("schedule=constant"), 1e-3)


def test_cosine_falls_from_the_peak_to_its_final_fraction(learning_rates) -> None:
    rates = learning_rates("schedule=cosine")
    assert rates[0] == pytest.approx(1e-3)
    assert rates[50] == pytest.approx(0.5e-3)
    assert rates[100] == pytest.approx(0, abs=1e-9)
    assert learning_rates("schedule=cosine", "schedule.final_fraction=0.1")[100] == pytest.approx(
        1e-4
    )


def test_warm_up_grows_from_zero_over_its_epochs(learning_rates) -> None:
    rates = learning_rates("schedule=warmup")
    assert rates[0] == 0
    assert rates[5] == pytest.approx(0.5e-3)
    assert np.allclose(rates[10:], 1e-3)
    both = learning_rates("schedule=warmup_cosine", "schedule.warmup_epochs=2")
    assert both.argmax() == 20
    assert both.max() == pytest.approx(1e-3)
    assert both[100] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("group", "name"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_optimizers_get_their_own_arguments(compose_config, group, name) -> None:
    config = compose_config(f"optimizer={group}", "optimizer.clipnorm=2.5")
    optimizer = build_optimizer(config.optimizer, 1e-3)
    assert type(optimizer).__name__ == name
    assert optimizer.clipnorm == 2.5
