"""What `pruner=asha` saves on a full grid, and what it misses: `make bench`.

The grid's trials were run to their ends once, on real faces; their learning curves are kept in
`experiments/asha_on_a_grid/curves.csv`. Asha is run on these curves, trial after trial, and sees of
each what it would have seen. What it finds depends on the order in which the trials come, so all
results are given for the order of the sweep and over many random orders.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from src.config.schema import PrunerConfig, PrunerName
from src.training.pruning import epochs_spent

CURVES = Path(__file__).parents[2] / "experiments/asha_on_a_grid/curves.csv"
ASHA = PrunerConfig(PrunerName.asha, warmup_epochs=2, min_trials=1, reduction_factor=3)
NUM_ORDERS = 1000


@dataclass(frozen=True)
class Found:
    """What one run came to.

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


def run(curves: list[list[float]], pruner: PrunerConfig = ASHA) -> Found:
    """Run a pruner on curves, one trial after another."""
    spent = epochs_spent(pruner, curves)
    complete = [min(c) for c, epochs in zip(curves, spent, strict=True) if epochs == len(c)]
    return Found(
        share=sum(spent) / sum(map(len, curves)),
        regret=min(complete) - min(min(curve) for curve in curves),
    )


def in_random_orders(curves: list[list[float]]) -> list[Found]:
    """The same in random orders, drawn from a fixed seed."""
    orders = np.random.default_rng(0)
    return [run([curves[k] for k in orders.permutation(len(curves))]) for _ in range(NUM_ORDERS)]


def main() -> None:
    """Print the comparison."""
    curves = read_curves()
    best = sorted(min(curve) for curve in curves)
    print(
        f"Grid: {len(curves)} trials of {len(curves[0])} epochs on real faces; best validation "
        f"MAE {best[0]:.2f}, then {best[1]:.2f}, {best[2]:.2f} … {best[-1]:.2f} years."
    )
    own = run(curves)
    print(f"asha, in the order of the sweep: {own.share:.0%} of the epochs, {own.regret:.2f} "
          "years above the grid's best.")  # fmt: skip
    found = in_random_orders(curves)
    shares, regrets = (np.array(x) for x in zip(*[(f.share, f.regret) for f in found], strict=True))
    low, middle, high = np.percentile(shares, [2.5, 50, 97.5])
    print(
        f"asha, in {NUM_ORDERS} random orders: {middle:.0%} of the epochs "
        f"(95 % of the orders: {low:.0%}–{high:.0%}); within 0.1 years of the best in "
        f"{(regrets <= 0.1).mean():.0%} of them, mean {regrets.mean():.2f} years above it."
    )


def rungs() -> list[int]:
    """Epochs after which asha decides, for the record."""
    powers = (ASHA.warmup_epochs * ASHA.reduction_factor**k for k in itertools.count())
    return list(itertools.takewhile(lambda epoch: epoch < 18, powers))


if __name__ == "__main__":
    main()
