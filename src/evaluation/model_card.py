"""The model card: data, training, errors, intended use and limits of a chosen model."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from src.config import Config, TargetConfig
from src.config.schema import DataConfig, Layout
from src.core import names
from src.evaluation.choice import Choice, stored_epoch
from src.evaluation.final_test import FinalTest
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.tracking.test_access import Look

_FEW = 30  # faces; below, an interval from normal theory is too narrow


@dataclass(frozen=True)
class Access:
    """Evaluations of the test part.

    Attributes:
        evaluations: All of the study, this one being the last.
        num_elsewhere: Trials of other studies that were measured on the same test part.
    """

    evaluations: Sequence[Look]
    num_elsewhere: int


def model_card(
    config: Config, terms: Terms, choice: Choice, test: FinalTest, access: Access
) -> str:
    """Returns the card as Markdown, within the 5,000 characters of a description in MLflow.

    Args:
        config: The trial's configuration.
        terms: Target and objective of its study.
        choice: The trial, with its final metrics.
        test: Its errors on the test part.
        access: Evaluations of the test part.
    """
    sections = (
        _title(config, terms.target, choice),
        _error(terms, choice, test, access),
        _error_by_band(test.bands, terms.target),
        _data(config.data, choice.trial, test),
        _training(config, choice.trial, terms),
        _use(config.data, terms.target),
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _title(config: Config, target: TargetConfig, choice: Choice) -> Iterator[str]:
    trial, size = choice.trial, config.data.image_size
    yield f'# Face {target.name}: {trial.name} of study "{choice.study}"\n'
    commit = trial.tags.get(names.GIT_COMMIT, "")
    code = f", code at commit `{commit[:10]}`" if commit else ""
    yield (
        f"A regressor with the backbone {config.model.backbone} that predicts {target.name} in "
        f"{target.unit} from a picture of a face of {size} × {size} px. "
        f"Run `{trial.run_id}`{code}."
    )


def _error(terms: Terms, choice: Choice, test: FinalTest, access: Access) -> Iterator[str]:
    known, new, stored = choice.trial.metrics, test.metrics, stored_epoch(terms.objective)
    target, num_test, num_val = terms.target, test.sizes["test"], test.sizes["val"]
    yield "## Error\n"
    yield f"| | MAE, {target.unit} | 95 % interval |\n|---|---|---|"
    yield f"| **test**, {num_test:,} faces | **{new[names.TEST_MAE]:.2f}** | " + (
        f"{_interval(new, names.TEST_MAE)} |"
    )
    yield f"| validation, {num_val:,} faces | {known[stored.val_mae]:.2f} | " + (
        f"{_interval(known, stored.val_mae)} |"
    )
    yield f"| training faces | {known[stored.train_mae]:.2f} | |"
    yield (
        f"| always the mean training {target.name}, on test "
        f"| {new['test/mean_predictor_mae']:.2f} | |"
    )
    yield f"| always the median, on test | {new[names.TEST_MEDIAN_PREDICTOR_MAE]:.2f} | |\n"
    yield (
        f"On test: RMSE {new['test/rmse']:.2f}, median error {new['test/median_error']:.2f}, "
        f"within 5 {target.unit} {new['test/cs5']:.0%} (CS@5), bias {new['test/bias']:+.2f} "
        f"(positive: predictions too high). Gap to the training error {new[names.TEST_GAP]:+.2f}; "
        f"on validation {known[stored.gap]:+.2f}.\n"
    )
    yield _how_chosen(choice, terms)
    yield _how_often_evaluated(access)


def _how_chosen(choice: Choice, terms: Terms) -> str:
    if choice.num_trials == 1:
        return "The study has no other complete trial to choose from."
    which = "The best" if choice.rank == 1 else f"Number {choice.rank}, chosen by hand,"
    return (
        f"{which} of {choice.num_trials} complete trials by {terms.phrase}, which the choice makes "
        "look better than it is."
    )


def _how_often_evaluated(access: Access) -> str:
    count = len(access.evaluations)
    text = f"Test-set evaluation {count} of the study"
    if count > 1:
        earlier = ", ".join(map(str, access.evaluations))
        text += f" ({earlier}): with each evaluation the number is less unbiased"
    if access.num_elsewhere:
        trials = "1 trial" if access.num_elsewhere == 1 else f"{access.num_elsewhere} trials"
        text += f"; {trials} of other studies used the same test part"
    return f"{text}."


def _error_by_band(bands: pd.DataFrame, target: TargetConfig) -> Iterator[str]:
    yield f"## Error by {target.name} on test\n"
    yield f"| {target.name} | faces | MAE | 95 % interval | bias |\n|---|---|---|---|---|"
    for band in bands.to_dict("records"):
        yield (
            f"| {band['band'].replace('-', '–')} | {band['n']:,} | {band['mae']:.2f} "
            f"| {_interval(band, 'mae')} | {band['bias']:+.2f} |"
        )
    if (bands["n"] < _FEW).any():
        yield f"\nBelow {_FEW} faces an interval is too narrow."


def _data(data: DataConfig, trial: TrialRecord, test: FinalTest) -> Iterator[str]:
    parts = ", ".join(f"{count:,} {name}" for name, count in test.sizes.items())
    yield "## Data\n"
    yield (
        f"`data={data.layout}`, digest `{trial.data_digest}`: {sum(test.sizes.values()):,} faces "
        f"({parts}; split {data.split.method}, seed {data.split.seed})."
    )
    if data.layout is Layout.sample:
        yield "The project drew these faces; the model has seen no face of a person."
    else:
        yield (
            "Check that their licence allows your use: nearly all public data sets of faces are "
            "for non-commercial research only."
        )


def _training(config: Config, trial: TrialRecord, terms: Terms) -> Iterator[str]:
    model, optimizer, augmentation = config.model, config.optimizer, config.augmentation
    changes = ", ".join(
        f"{name} {value:g}" if not isinstance(value, bool) else name
        for name, value in vars(augmentation).items()
        if value
    )
    best = f"{trial.metrics[names.BEST_EPOCH]:.0f}"
    epoch = "last epoch" if terms.objective.keeps_last_epoch else f"epoch {best}"
    yield "## Training\n"
    yield (
        f"{optimizer.name}, learning rate {optimizer.learning_rate:g}, batch size "
        f"{config.data.batch_size}, loss {model.loss}; weights {model.weights or 'random'}, frozen "
        f"{model.freeze}, input {model.input_mode}, dropout {model.dropout_rate:g} "
        f"{model.dropout_position}, hidden units {model.hidden_units or 'none'}; augmentation "
        f"{changes or 'none'}; {epoch} of {config.fit.last_epoch}, "
        f"seed {config.seed}. All values: `{names.CONFIG_FILE}` of the run."
    )


def _use(data: DataConfig, target: TargetConfig) -> Iterator[str]:
    yield "## Intended use\n"
    yield (
        "Research: effects of hyperparameters on the error on faces like those above. Input: "
        f"RGB pictures, uint8 `(n, {data.image_size}, {data.image_size}, 3)`, one face filling "
        f"each. Output: {target.name} in {target.unit}, `(n, 1)`.\n"
    )
    yield "## Limits\n"
    yield "- **It must not decide what a person may buy, do or enter.** In shops and elsewhere"
    yield "  such estimates from faces are regulated in many places."
    yield "- Predictions are drawn towards the mean of the training labels: see the bias above."
    yield "  Errors by sex, skin, camera, light and expression were not measured."
    yield "- Other faces, crops or cameras than the data's were not measured; expect more error."
    yield "- The intervals cover the chance in which faces were tested; not another seed, not"
    yield "  other data."


def _interval(metrics: Mapping[Any, float], name: str) -> str:
    ends = (metrics.get(names.low(name), math.nan), metrics.get(names.high(name), math.nan))
    return "–" if math.isnan(ends[0]) else f"{ends[0]:.2f}–{ends[1]:.2f}"
