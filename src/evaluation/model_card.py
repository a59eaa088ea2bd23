"""The model card: data, training, errors, intended use and limits of a chosen model."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from src.config import Config
from src.config.schema import AugmentationConfig, Layout
from src.core import names
from src.evaluation.choice import Choice, stored_epoch
from src.evaluation.final_test import FinalTest
from src.records.tables import counted
from src.records.terms import Terms
from src.records.trial import TrialRecord
from src.tracking.test_access import Evaluation

_FEW = 30  # faces; below, an interval from normal theory is too narrow
_DRAWN = "The project drew these faces; the model has seen no face of a person."
_LICENCE = (
    "Check that their licence allows your use: nearly all public data sets of faces are for "
    "non-commercial research only."
)


def model_card(
    config: Config,
    terms: Terms,
    choice: Choice,
    test: FinalTest,
    evaluations: Sequence[Evaluation],
    num_elsewhere: int = 0,
) -> str:
    """Returns the card as Markdown, within the 5,000 characters of a description in MLflow.

    Args:
        config: The trial's configuration.
        terms: Target and objective of its study.
        choice: The trial, with its final metrics.
        test: Its errors on the test part.
        evaluations: Test-set evaluations of the study, this one being the last.
        num_elsewhere: Trials of other studies that were measured on the same test part.
    """
    trial, target, metrics = choice.trial, terms.target, test.metrics
    val_mae, train_mae, gap = stored_epoch(terms.objective)
    commit = trial.tags.get(names.GIT_COMMIT, "")
    code = f", code at commit `{commit[:10]}`" if commit else ""
    return f"""\
# Face {target.name}: {trial.name} of study "{choice.study}"

A regressor with the backbone {config.model.backbone} that predicts {target.name} in {target.unit} \
from a picture of a face of {config.data.image_size} × {config.data.image_size} px. \
Run `{trial.run_id}`{code}.

## Error

| | MAE, {target.unit} | 95 % interval |
|---|---|---|
| **test**, {test.sizes["test"]:,} faces | **{metrics[names.TEST_MAE]:.2f}** \
| {_interval(metrics, names.TEST_MAE)} |
| validation, {test.sizes["val"]:,} faces | {trial.metrics[val_mae]:.2f} \
| {_interval(trial.metrics, val_mae)} |
| training faces | {trial.metrics[train_mae]:.2f} | |
| always the mean training {target.name}, on test | {metrics["test/mean_predictor_mae"]:.2f} | |
| always the median, on test | {metrics[names.TEST_MEDIAN_PREDICTOR_MAE]:.2f} | |

On test: RMSE {metrics["test/rmse"]:.2f}, median error {metrics["test/median_error"]:.2f}, \
within 5 {target.unit} {metrics["test/cs5"]:.0%} (CS@5), bias {metrics["test/bias"]:+.2f} \
(positive: predictions too high). Gap to the training error {metrics[names.TEST_GAP]:+.2f}; \
on validation {trial.metrics[gap]:+.2f}.

{_how_chosen(choice, terms)}
{_evaluations(evaluations, num_elsewhere)}.

## Error by {target.name} on test

| {target.name} | faces | MAE | 95 % interval | bias |
|---|---|---|---|---|
{_bands(test.bands)}

{_origin(config, terms, trial, test.sizes)}"""


def _origin(config: Config, terms: Terms, trial: TrialRecord, sizes: Mapping[str, int]) -> str:
    """Returns the sections about data, training, use and limits."""
    data, model, optimizer = config.data, config.model, config.optimizer
    best = f"epoch {trial.metrics[names.BEST_EPOCH]:.0f}"
    return f"""\
## Data

`data={data.layout}`, digest `{trial.data_digest}`: {sum(sizes.values()):,} faces \
({sizes["train"]:,} train, {sizes["val"]:,} val, {sizes["test"]:,} test; \
split {data.split.method}, seed {data.split.seed}).
{_DRAWN if data.layout is Layout.sample else _LICENCE}

## Training

{optimizer.name}, learning rate {optimizer.learning_rate:g}, batch size {data.batch_size}, loss \
{model.loss}; weights {model.weights or "random"}, frozen {model.freeze}, input \
{model.input_mode}, dropout {model.dropout_rate:g} {model.dropout_position}, hidden units \
{model.hidden_units or "none"}; augmentation {_changes(config.augmentation)}; \
{"last epoch" if terms.objective.keeps_last_epoch else best} of {config.fit.last_epoch}, \
seed {config.seed}. All values: `{names.CONFIG_FILE}` of the run.

## Intended use

Research: effects of hyperparameters on the error on faces like those above. Input: RGB pictures, \
uint8 `(n, {data.image_size}, {data.image_size}, 3)`, one face filling each. Output: \
{terms.target.name} in {terms.target.unit}, `(n, 1)`.

## Limits

- **It must not decide what a person may buy, do or enter.** In shops and elsewhere such estimates
  from faces are regulated in many places.
- Predictions are drawn towards the mean of the training labels: see the bias above. Errors by sex,
  skin, camera, light and expression were not measured.
- Other faces, crops or cameras than the data's were not measured; expect more error.
- The intervals cover the chance in which faces were tested; not another seed, not other data.
"""


def _how_chosen(choice: Choice, terms: Terms) -> str:
    if choice.num_trials == 1:
        return "The study has no other complete trial to choose from."
    which = "The best" if choice.rank == 1 else f"Number {choice.rank}, chosen by hand,"
    return (
        f"{which} of {choice.num_trials} complete trials by {terms.phrase}, which the choice makes "
        "look better than it is."
    )


def _evaluations(evaluations: Sequence[Evaluation], num_elsewhere: int) -> str:
    count = len(evaluations)
    text = f"Test-set evaluation {count} of the study"
    if count > 1:
        earlier = ", ".join(map(str, evaluations))
        text += f" ({earlier}): with each evaluation the number is less unbiased"
    if num_elsewhere:
        text += f"; {counted(num_elsewhere)} of other studies used the same test part"
    return text


def _bands(bands: pd.DataFrame) -> str:
    lines = [
        f"| {band['band'].replace('-', '–')} | {band['n']:,} | {band['mae']:.2f} "
        f"| {_interval(band, 'mae')} | {band['bias']:+.2f} |"
        for band in bands.to_dict("records")
    ]
    if (bands["n"] < _FEW).any():
        lines.append(f"\nBelow {_FEW} faces an interval is too narrow.")
    return "\n".join(lines)


def _changes(augmentation: AugmentationConfig) -> str:
    changes = [
        f"{name} {value:g}" if not isinstance(value, bool) else name
        for name, value in vars(augmentation).items()
        if value
    ]
    return ", ".join(changes) or "none"


def _interval(metrics: Mapping[Any, float], name: str) -> str:
    ends = (metrics.get(names.low(name), math.nan), metrics.get(names.high(name), math.nan))
    return "–" if math.isnan(ends[0]) else f"{ends[0]:.2f}–{ends[1]:.2f}"
