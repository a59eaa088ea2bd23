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
from src.records.terms import Terms
from src.tracking.test_access import Evaluation

_FEW = 30  # faces; below, an interval from normal theory is too narrow
_DRAWN = "The project drew these faces; the model has seen no face of a person."
_LICENCE = (
    "Check that their licence allows your use: nearly all public data sets of faces are for "
    "non-commercial research only."
)
_CARD = """\
# Face {target.name}: {trial.name} of study "{choice.study}"

A regressor with the backbone {model.backbone} that predicts {target.name} in {target.unit} from a \
picture of a face of {data.image_size} × {data.image_size} px. Run `{trial.run_id}`{code}.

## Error

| | MAE, {target.unit} | 95 % interval |
|---|---|---|
| **test**, {sizes[test]:,} faces | **{test[test/mae]:.2f}** | {test_interval} |
| validation, {sizes[val]:,} faces | {val_mae:.2f} | {val_interval} |
| training faces | {train_mae:.2f} | |
| always the mean training {target.name}, on test | {test[test/mean_predictor_mae]:.2f} | |
| always the median, on test | {test[test/median_predictor_mae]:.2f} | |

On test: RMSE {test[test/rmse]:.2f}, median error {test[test/median_error]:.2f}, within 5 \
{target.unit} {test[test/cs5]:.0%} (CS@5), bias {test[test/bias]:+.2f} (positive: predictions too \
high). Gap to the training error {test[test/gap]:+.2f}; on validation {gap:+.2f}.

{how_chosen}
{evaluations}.

## Error by {target.name} on test

| {target.name} | faces | MAE | 95 % interval | bias |
|---|---|---|---|---|
{bands}

## Data

`data={data.layout}`, digest `{trial.data_digest}`: {num_faces:,} faces ({sizes[train]:,} train, \
{sizes[val]:,} val, {sizes[test]:,} test; split {data.split.method}, seed {data.split.seed}).
{origin}

## Training

{optimizer.name}, learning rate {optimizer.learning_rate:g}, batch size {data.batch_size}, loss \
{model.loss}; weights {weights}, frozen {model.freeze}, input {model.input_mode}, dropout \
{model.dropout_rate:g} {model.dropout_position}, hidden units {hidden_units}; augmentation \
{changes}; {epoch} of {last_epoch}, seed {seed}. All values: `{config_file}` of the run.

## Intended use

Research: effects of hyperparameters on the error on faces like those above. Input: RGB pictures, \
uint8 `(n, {data.image_size}, {data.image_size}, 3)`, one face filling each. Output: {target.name} \
in {target.unit}, `(n, 1)`.

## Limits

- **It must not decide what a person may buy, do or enter.** In shops and elsewhere such estimates
  from faces are regulated in many places.
- Predictions are drawn towards the mean of the training labels: see the bias above. Errors by sex,
  skin, camera, light and expression were not measured.
- Other faces, crops or cameras than the data's were not measured; expect more error.
- The intervals cover the chance in which faces were tested; not another seed, not other data.
"""


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
    trial, model, stored = choice.trial, config.model, stored_epoch(terms.objective)
    commit = trial.tags.get(names.GIT_COMMIT, "")
    best = f"epoch {trial.metrics[names.BEST_EPOCH]:.0f}"
    return _CARD.format(
        target=terms.target, trial=trial, choice=choice, model=model, data=config.data,
        optimizer=config.optimizer, seed=config.seed, sizes=test.sizes, test=test.metrics,
        code=f", code at commit `{commit[:10]}`" if commit else "",
        test_interval=_interval(test.metrics, names.TEST_MAE),
        val_mae=trial.metrics[stored.val_mae],
        val_interval=_interval(trial.metrics, stored.val_mae),
        train_mae=trial.metrics[stored.train_mae],
        gap=trial.metrics[stored.gap],
        how_chosen=_how_chosen(choice, terms),
        evaluations=_evaluations(evaluations, num_elsewhere),
        bands=_bands(test.bands),
        num_faces=sum(test.sizes.values()),
        origin=_DRAWN if config.data.layout is Layout.sample else _LICENCE,
        weights=model.weights or "random",
        hidden_units=model.hidden_units or "none",
        changes=_changes(config.augmentation),
        epoch="last epoch" if terms.objective.keeps_last_epoch else best,
        last_epoch=config.fit.last_epoch,
        config_file=names.CONFIG_FILE,
    )  # fmt: skip


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
        trials = "1 trial" if num_elsewhere == 1 else f"{num_elsewhere} trials"
        text += f"; {trials} of other studies used the same test part"
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
