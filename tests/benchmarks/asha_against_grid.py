"""Time that `pruner=asha` saves on a full grid, and results that it misses: `make bench`.

The grid's trials were run to their ends once, on real faces; their learning curves are kept in
`experiments/asha_on_a_grid/curves.csv`. Pruners are run on these curves, trial after trial, and see
of each what they would have seen. What they find depends on the order in which the trials come, so
each result is given for the order of the sweep and over many random orders.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow.tracking import MlflowClient

from src.config.study_schema import PrunerConfig, PrunerName
from src.core.console import native_chatter_hidden
from src.tracking.lookup import find_study

with native_chatter_hidden():  # TensorFlow
    from src.training.pruning import epochs_spent

CURVES = Path(__file__).parents[2] / "experiments/asha_on_a_grid/curves.csv"
ASHA = PrunerConfig(PrunerName.asha, warmup_epochs=1, min_trials=1, reduction_factor=3)
PRUNERS = {
    "asha, first rung 1": ASHA,
    "asha, first rung 2": PrunerConfig(PrunerName.asha, 2, 1, 3),
    "asha, first rung 3": PrunerConfig(PrunerName.asha, 3, 1, 3),
    "asha, first rung 6": PrunerConfig(PrunerName.asha, 6, 1, 3),
    "median, from epoch 2": PrunerConfig(PrunerName.median, 2, 1, 2),
}
HYPERPARAMETERS = ["optimizer.learning_rate", "data.batch_size", "model.dropout_rate"]
NUM_ORDERS = 1000

Curves = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Found:
    """Result of one run of a pruner.

    Attributes:
        share: Of the grid's epochs.
        regret: Best validation MAE among its complete trials, less the grid's best, years.
    """

    share: float
    regret: float


def read_curves() -> list[list[float]]:
    """Validation MAE (years) by epoch of each trial of the grid, in the order of the sweep."""
    table = pd.read_csv(CURVES).sort_values(["trial", "epoch"])
    return [group["val_mae"].tolist() for _, group in table.groupby("trial")]


def run(curves: Curves, pruner: PrunerConfig = ASHA) -> Found:
    """Run a pruner on curves, one trial after another."""
    spent = epochs_spent(pruner, curves)
    complete = [min(c) for c, epochs in zip(curves, spent, strict=True) if epochs == len(c)]
    return Found(
        share=sum(spent) / sum(map(len, curves)),
        regret=min(complete) - min(min(curve) for curve in curves),
    )


def run_in_random_orders(curves: Curves, pruner: PrunerConfig) -> list[Found]:
    """The same in random orders, drawn from a fixed seed."""
    orders = np.random.default_rng(0)
    return [
        run([curves[k] for k in orders.permutation(len(curves))], pruner) for _ in range(NUM_ORDERS)
    ]


def main() -> None:
    """Print the comparison."""
    curves = read_curves()
    best = sorted(min(curve) for curve in curves)
    print(
        f"Grid: {len(curves)} trials of {len(curves[0])} epochs on real faces, best validation "
        f"MAE {best[0]:.2f}, {best[1]:.2f}, {best[2]:.2f} … {best[-1]:.2f} years.\n"
        f"{'':22}as swept: epochs, above best   {NUM_ORDERS} orders: epochs, above best, within 0.1"
    )
    for name, pruner in PRUNERS.items():
        own = run(curves, pruner)
        others = run_in_random_orders(curves, pruner)
        regrets = np.array([each.regret for each in others])
        print(
            f"{name:22}{own.share:16.0%}{own.regret:12.2f}"
            f"{np.mean([each.share for each in others]):22.0%}{regrets.mean():12.2f}"
            f"{(regrets <= 0.1).mean():12.0%}"
        )


def keep_curves(study: str) -> None:
    """Write a study's curves to `CURVES`, and draw them."""
    client = MlflowClient()
    rows = [
        {
            "trial": trial.number,
            **{key.rpartition(".")[2]: trial.params[key] for key in HYPERPARAMETERS},
            "epoch": point.step,
            "val_mae": round(point.value, 3),
        }
        for trial in find_study("face-age", study).trials()
        for point in client.get_metric_history(trial.run_id, "mae/val")
    ]
    pd.DataFrame(rows).sort_values(["trial", "epoch"]).to_csv(CURVES, index=False)
    draw(read_curves()).savefig(CURVES.parent / "figures/curves.png")


def draw(curves: Curves) -> Figure:
    """The grid's curves, the lowest error up to each epoch, and where asha ends them."""
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for curve, num_epochs in zip(curves, epochs_spent(ASHA, curves), strict=True):
        lowest = np.minimum.accumulate(curve)
        epochs = np.arange(1, len(curve) + 1)
        axes.plot(epochs, lowest, color="0.8", linewidth=1)
        (line,) = axes.plot(epochs[:num_epochs], lowest[:num_epochs], linewidth=2)
        axes.plot(num_epochs, lowest[num_epochs - 1], "o", color=line.get_color())
    axes.set(
        xlabel="epoch",
        ylabel="lowest validation MAE so far, years",
        title="A grid on real faces (grey), and what asha runs of it (coloured, dot: end)",
    )
    return figure


if __name__ == "__main__":
    keep_curves(sys.argv[1]) if sys.argv[1:] else main()
