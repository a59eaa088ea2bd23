"""The model card: what a chosen model is, how wrong it is and for whom, and what it is not for."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from src.config import Config
from src.config.schema import DataConfig, Layout
from src.records.trial import TrialRecord
from src.tracking.test_access import Evaluation
from src.training.final_test import FinalTest

_ROUGH = 30  # faces; under so many a normal-theory interval is too narrow


@dataclass(frozen=True)
class Choice:
    """How the trial was chosen, and what the choice knew of the test part.

    Attributes:
        study: The study's name.
        num_trials: Its complete trials, from which this one was chosen.
        rank: The trial's place among them by validation error, from 1.
        looks: All looks of the study at its test part, this one being the last.
        num_looks_elsewhere: Trials of other studies that were measured on the same test part.
    """

    study: str
    num_trials: int
    rank: int
    looks: Sequence[Evaluation]
    num_looks_elsewhere: int


def model_card(config: Config, trial: TrialRecord, test: FinalTest, choice: Choice) -> str:
    """The card as Markdown, within the 5,000 characters of a description in MLflow.

    Args:
        config: The trial's configuration.
        trial: With its final metrics, see `record.log_outcome`.
        test: What the model came to.
        choice: How it was chosen.
    """
    sections = (
        _title(config, trial, choice),
        _error(trial, test, choice),
        _error_by_age(test.bands),
        _data(config.data, trial, test),
        _training(config, trial),
        _use(config.data),
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _title(config: Config, trial: TrialRecord, choice: Choice) -> Iterator[str]:
    yield f'# Face age: {trial.name} of study "{choice.study}"\n'
    commit = trial.tags.get("mlflow.source.git.commit", "")
    code = f", code at commit `{commit[:10]}`" if commit else ""
    yield (
        f"A ResNet50 that guesses an age in years from a picture of a face of "
        f"{config.data.image_size} × {config.data.image_size} px. Run `{trial.run_id}`{code}."
    )


def _error(trial: TrialRecord, test: FinalTest, choice: Choice) -> Iterator[str]:
    known, new = trial.metrics, test.metrics
    test_interval = _interval(new["test/mae_low"], new["test/mae_high"])
    val_interval = _interval(
        known.get("best/val_mae_low", math.nan), known.get("best/val_mae_high", math.nan)
    )
    num_test, num_val = test.sizes["test"], test.sizes["val"]
    yield "## Error\n"
    yield "| | MAE, years | 95 % interval |\n|---|---|---|"
    yield f"| **test**, {num_test:,} faces | **{new['test/mae']:.2f}** | {test_interval} |"
    yield f"| validation, {num_val:,} faces | {known['best/val_mae']:.2f} | {val_interval} |"
    yield f"| training faces | {known['best/train_mae']:.2f} | |"
    yield f"| always the mean training age, on test | {new['test/mean_predictor_mae']:.2f} | |"
    yield f"| always the median, on test | {new['test/median_predictor_mae']:.2f} | |\n"
    yield (
        f"On test: RMSE {new['test/rmse']:.2f}, median error {new['test/median_error']:.2f}, "
        f"within 5 years {new['test/cs5']:.0%} (CS@5), bias {new['test/bias']:+.2f} (positive: "
        f"guessed too old). Gap to the training error {new['test/gap']:+.2f}; on validation "
        f"{known['best/gap']:+.2f}.\n"
    )
    yield _how_chosen(choice)
    yield _how_often_looked(choice)


def _how_chosen(choice: Choice) -> str:
    if choice.num_trials == 1:
        return "The study has no other complete trial that it could have been chosen from."
    which = "The best" if choice.rank == 1 else f"Number {choice.rank}, chosen by hand,"
    return (
        f"{which} of {choice.num_trials} complete trials by validation error, an error that is "
        "flattered by the choice."
    )


def _how_often_looked(choice: Choice) -> str:
    count = len(choice.looks)
    text = f"The study looked at its test part {_times(count)}"
    if count > 1:
        text += f" ({', '.join(map(str, choice.looks))}): the later, the less honest the number"
    if choice.num_looks_elsewhere:
        text += f"; trials of other studies did so {_times(choice.num_looks_elsewhere)}"
    return f"{text}."


def _error_by_age(bands: pd.DataFrame) -> Iterator[str]:
    yield "## Error by age on test\n"
    yield "| age | faces | MAE | 95 % interval | bias |\n|---|---|---|---|---|"
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
        yield "The project drew these faces itself: of real ones the model knows nothing."
    else:
        yield (
            "Whether their licence allows a use is for the user to check: nearly all public age "
            "data sets are for non-commercial research only."
        )


def _training(config: Config, trial: TrialRecord) -> Iterator[str]:
    model, optimizer, augmentation = config.model, config.optimizer, config.augmentation
    changes = ", ".join(
        f"{name} {value:g}" if not isinstance(value, bool) else name
        for name, value in vars(augmentation).items()
        if value
    )
    yield "## Training\n"
    yield (
        f"{optimizer.name}, learning rate {optimizer.learning_rate:g}, batch size "
        f"{config.data.batch_size}, loss {model.loss}; weights {model.weights or 'random'}, frozen "
        f"{model.freeze}, input {model.input_mode}, dropout {model.dropout_rate:g} "
        f"{model.dropout_position}, hidden units {model.hidden_units or 'none'}; augmentation "
        f"{changes or 'none'}; epoch {trial.metrics['best/epoch']:.0f} of {config.fit.last_epoch}, "
        f"seed {config.seed}. Everything else: `config.json` of the run."
    )


def _use(data: DataConfig) -> Iterator[str]:
    yield "## Intended use\n"
    yield (
        "Research: comparing what hyperparameters do to the error on faces like those above. In: "
        f"RGB pictures, uint8 `(n, {data.image_size}, {data.image_size}, 3)`, one face filling "
        "each. Out: years, `(n, 1)`.\n"
    )
    yield "## Limits\n"
    yield "- **It must not decide what a person may buy, do or enter.** In shops and elsewhere"
    yield "  guessing ages from faces is regulated in many places."
    yield "- A guess is wrong by years, and models draw children and the old towards the mean: see"
    yield "  bias by age. Sex, skin, camera, light and expression were not told apart here."
    yield "- Other faces, crops or cameras than the data's were not measured; expect more error."
    yield "- The intervals tell the chance in which faces were tested; not another seed, not other"
    yield "  data."


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{low:.2f}–{high:.2f}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
