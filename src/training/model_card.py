"""Model card: origin, errors, intended use and limits of a chosen model."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from src.config import Config, TargetConfig, objective_of
from src.config.schema import DataConfig, Layout
from src.core import names
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.tracking.test_access import Look
from src.training.final_test import FinalTest, kept_errors

_ROUGH = 30  # faces; with fewer, a normal-theory interval is too narrow


@dataclass(frozen=True)
class Choice:
    """Choice of the trial, and earlier uses of the test part.

    Attributes:
        study: The study's name.
        num_trials: Number of its complete trials.
        rank: The trial's rank among them by the objective, from 1.
        looks: All evaluations of the study on its test part, this one being the last.
        num_looks_elsewhere: Trials of other studies that were measured on the same test part.
    """

    study: str
    num_trials: int
    rank: int
    looks: Sequence[Look]
    num_looks_elsewhere: int


def model_card(config: Config, trial: TrialRecord, test: FinalTest, choice: Choice) -> str:
    """Returns the card as Markdown, within the 5,000 characters of a description in MLflow.

    Args:
        config: The trial's configuration.
        trial: With its final metrics, see `measurement.final_metrics`.
        test: The results on the test part.
        choice: How it was chosen.
    """
    sections = (
        _title(config, trial, choice),
        _error(config, trial, test, choice),
        _error_by_band(test.bands, config.target),
        _data(config.data, trial, test),
        _training(config, trial),
        _use(config.data, config.target),
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _title(config: Config, trial: TrialRecord, choice: Choice) -> Iterator[str]:
    target = config.target
    yield f'# Face {target.name}: {trial.name} of study "{choice.study}"\n'
    commit = trial.tags.get(names.GIT_COMMIT, "")
    code = f", code at commit `{commit[:10]}`" if commit else ""
    yield (
        f"A {config.model.backbone} network that predicts {target.name} in {target.unit} from a "
        f"picture of a face of {config.data.image_size} × {config.data.image_size} px. Run "
        f"`{trial.run_id}`{code}."
    )


def _error(config: Config, trial: TrialRecord, test: FinalTest, choice: Choice) -> Iterator[str]:
    target, known, new = config.target, trial.metrics, test.metrics
    keeps_last = objective_of(config.study).keeps_last_epoch
    val = names.LAST_VAL_MAE if keeps_last else names.BEST_VAL_MAE
    train_mae, val_mae = kept_errors(trial, config)
    test_interval = _interval(new[names.low(names.TEST_MAE)], new[names.high(names.TEST_MAE)])
    val_interval = _interval(
        known.get(names.low(val), math.nan), known.get(names.high(val), math.nan)
    )
    num_test, num_val = test.sizes["test"], test.sizes["val"]
    mean_mae, median_mae = new["test/mean_predictor_mae"], new[names.TEST_MEDIAN_PREDICTOR_MAE]
    yield "## Error\n"
    yield f"| | MAE, {target.unit} | 95 % interval |\n|---|---|---|"
    yield f"| **test**, {num_test:,} faces | **{new[names.TEST_MAE]:.2f}** | {test_interval} |"
    yield f"| validation, {num_val:,} faces | {val_mae:.2f} | {val_interval} |"
    yield f"| training faces | {train_mae:.2f} | |"
    yield f"| always the mean training {target.name}, on test | {mean_mae:.2f} | |"
    yield f"| always the median, on test | {median_mae:.2f} | |\n"
    yield (
        f"On test: RMSE {new['test/rmse']:.2f}, median error {new['test/median_error']:.2f}, "
        f"within 5 {target.unit} {new['test/cs5']:.0%} (CS@5), bias {new['test/bias']:+.2f} "
        f"(positive: predicted too high). Gap to the training error {new[names.TEST_GAP]:+.2f}; on "
        f"validation {val_mae - train_mae:+.2f}.\n"
    )
    yield _how_chosen(choice, Terms(target, objective_of(config.study)))
    yield _num_evaluations(choice)


def _how_chosen(choice: Choice, terms: Terms) -> str:
    if choice.num_trials == 1:
        return "The study has no other complete trial."
    which = "The best" if choice.rank == 1 else f"Number {choice.rank}, chosen by hand,"
    return (
        f"{which} of {choice.num_trials} complete trials by {terms.phrase}, which the choice makes "
        "optimistic."
    )


def _num_evaluations(choice: Choice) -> str:
    count = len(choice.looks)
    text = f"The study was evaluated on its test part {_times(count)}"
    if count > 1:
        text += f" ({', '.join(map(str, choice.looks))}): later values are more optimistic"
    if choice.num_looks_elsewhere:
        text += f"; trials of other studies {_times(choice.num_looks_elsewhere)}"
    return f"{text}."


def _error_by_band(bands: pd.DataFrame, target: TargetConfig) -> Iterator[str]:
    yield f"## Error by {target.name} on test\n"
    yield f"| {target.name} | faces | MAE | 95 % interval | bias |\n|---|---|---|---|---|"
    for band in bands.to_dict("records"):
        yield (
            f"| {band['band'].replace('-', '–')} | {band['n']:,} | {band['mae']:.2f} "
            f"| {_interval(band['mae_low'], band['mae_high'])} | {band['bias']:+.2f} |"
        )
    if (bands["n"] < _ROUGH).any():
        yield f"\nBelow {_ROUGH} faces an interval is too narrow."


def _data(data: DataConfig, trial: TrialRecord, test: FinalTest) -> Iterator[str]:
    parts = ", ".join(f"{count:,} {name}" for name, count in test.sizes.items())
    yield "## Data\n"
    yield (
        f"`data={data.layout}`, digest `{trial.data_digest}`: {sum(test.sizes.values()):,} faces "
        f"({parts}; split {data.split.method}, seed {data.split.seed})."
    )
    if data.layout is Layout.sample:
        yield "The project drew these faces itself; the model knows no real ones."
    else:
        yield (
            "Users must check whether the licence allows their use: nearly all public data sets "
            "of faces are for non-commercial research only."
        )


def _training(config: Config, trial: TrialRecord) -> Iterator[str]:
    model, optimizer, augmentation = config.model, config.optimizer, config.augmentation
    changes = ", ".join(
        f"{name} {value:g}" if not isinstance(value, bool) else name
        for name, value in vars(augmentation).items()
        if value
    )
    best = f"epoch {trial.metrics[names.BEST_EPOCH]:.0f}"
    epoch = "last epoch" if objective_of(config.study).keeps_last_epoch else best
    yield "## Training\n"
    yield (
        f"{optimizer.name}, learning rate {optimizer.learning_rate:g}, batch size "
        f"{config.data.batch_size}, loss {model.loss}; weights {model.weights or 'random'}, frozen "
        f"{model.freeze}, input {model.input_mode}, dropout {model.dropout_rate:g} "
        f"{model.dropout_position}, hidden units {model.hidden_units or 'none'}; augmentation "
        f"{changes or 'none'}; {epoch} of {config.fit.last_epoch}, "
        f"seed {config.seed}. Everything else: `config.json` of the run."
    )


def _use(data: DataConfig, target: TargetConfig) -> Iterator[str]:
    yield "## Intended use\n"
    yield (
        "Research: comparing what hyperparameters do to the error on faces like those above. In: "
        f"RGB pictures, uint8 `(n, {data.image_size}, {data.image_size}, 3)`, one face filling "
        f"each. Out: {target.unit}, `(n, 1)`.\n"
    )
    yield "## Limits\n"
    yield "- **It must not decide what a person may buy, do or enter.** In shops and elsewhere"
    yield "  predicting personal attributes from faces is regulated in many places."
    yield "- Errors are large, and models draw the lowest and highest values towards the mean: see"
    yield f"  bias by {target.name}. Sex, skin, camera, light and expression were not compared."
    yield "- Other faces, crops or cameras were not measured; expect larger errors."
    yield "- The intervals cover the choice of test faces only, not other seeds or other data."


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{low:.2f}–{high:.2f}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
