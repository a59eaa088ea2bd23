"""A stack of trials, trained epoch by epoch until all are over."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from src.config import Config
from src.core.console import spell_seconds, stderr
from src.core.errors import EnvironmentFaultError
from src.core.signals import whole_step
from src.data import Dataset, Part, TrainingBatches
from src.model.stacked import Lane, StackedHeads
from src.tracking import Runs
from src.training.activations import ActivationBatches, ActivationInputs
from src.training.measurement import epoch_metrics_of_many
from src.training.program import Program
from src.training.side_by_side.keeper import Keeper
from src.training.side_by_side.states import load_states
from src.training.side_by_side.trial import SideTrial

_ROWS = 512  # pooled at a time


def train(
    trials: Sequence[SideTrial],
    runs: Runs,
    program: Program,
    inputs: ActivationInputs,
    dataset: Dataset,
) -> None:
    """Train a stack until all its trials are over.

    Args:
        trials: Those of one stack.
        runs: All that are open.
        program: A lone model of their shape.
        inputs: Of any of them.
        dataset: Their faces.
    """
    load_states(trials, runs, program, float(dataset.part("train").ages.mean()))
    trials = [trial for trial in trials if trial.result is None]
    if not trials:
        return
    config, keeper = trials[0].config, Keeper(trials, program)
    lanes = [Lane(t.config.model, t.config.optimizer, t.config.seed, t.latest) for t in trials]
    heads = StackedHeads(lanes, config.schedule, len(inputs.batches), config.fit.epochs)
    epochs = _Epochs(heads, config, inputs, dataset)
    try:
        for epoch in range(len(trials[0].history), config.fit.last_epoch):
            if all(trial.is_over for trial in trials):
                break
            seconds = _train_epoch(trials, epochs, epoch)
            going = [trial for trial in trials if len(trial.history) == epoch + 1]
            for trial in going:
                trial.run.log_epochs([trial.history.epochs[-1]])
            keeper.save_if_due()
            if going:
                stderr.print(_epoch_line(going, epoch + 1, config.fit.last_epoch, seconds))
    except BaseException:
        try:
            keeper.save()
        except EnvironmentFaultError as error:  # the first fault is the one to raise
            stderr.print(str(error), markup=False)
        raise


def _train_epoch(trials: Sequence[SideTrial], epochs: "_Epochs", epoch: int) -> float:
    """Train and measure an epoch (from 0) of those that are not over; the seconds that it took.

    Each trial's share of them is what its record says.
    """
    alive = [(place, trial) for place, trial in enumerate(trials) if not trial.is_over]
    started = time.perf_counter()
    running, bad_steps = epochs.train(epoch)
    train_seconds = time.perf_counter() - started
    predictions = epochs.predictions()
    records = epochs.records(predictions)
    states, rates = epochs.heads.states(), epochs.heads.learning_rates()
    seconds = time.perf_counter() - started
    for place, trial in alive:
        if bad_steps[place] or not np.isfinite(records[place]["mae/val"]):
            trial.give_up(epoch + 1, int(bad_steps[place]) or epochs.num_steps)
            continue
        record = {
            **records[place],
            "epoch": epoch + 1,
            "loss/running": float(running[place]),
            "learning_rate": float(rates[place]),
            "time/train_seconds": train_seconds / len(alive),
            "time/images_per_second": epochs.num_faces * len(alive) / train_seconds,
            "time/measure_seconds": (seconds - train_seconds) / len(alive),
            "time/epoch_seconds": seconds / len(alive),
        }
        # A view would keep the whole stack's predictions for as long as this epoch is the best.
        of_trial = {name: of_all[place].copy() for name, of_all in predictions.items()}
        trial.add(record, states[place], of_trial)
    return seconds


class _Epochs:
    """Epochs of a stack: the faces that its heads train on, and those that are measured.

    Attributes:
        heads: What is trained.
        num_faces: That an epoch trains on.
        num_steps: Of an epoch.
    """

    def __init__(
        self, heads: StackedHeads, config: Config, inputs: ActivationInputs, dataset: Dataset
    ) -> None:
        faces = dataset.part("train")
        self.heads = heads
        self.num_faces = len(faces)
        self.num_steps = len(inputs.batches)
        self._batches: Mapping[int, ActivationBatches] = {
            seed: inputs.batches.in_order_of(
                TrainingBatches(faces, config.data.batch_size, config.augmentation, seed)
            )
            for seed in heads.streams
        }
        self._parts = inputs.parts
        self._vectors = {name: _vectors(part) for name, part in inputs.parts.items()}
        self._loss = str(config.model.loss)

    def train(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Each head's running loss, and the first step (from 1) whose loss was no number, or 0."""
        total, count = np.zeros(len(self.heads)), 0
        bad_steps = np.zeros(len(self.heads), int)
        for step in range(self.num_steps):
            drawn = [self._batches[seed].batch(epoch, step) for seed in self.heads.streams]
            activations, ages = (np.stack(each) for each in zip(*drawn, strict=True))
            with whole_step():
                losses = self.heads.train_batch(activations, ages)
            bad_steps[(bad_steps == 0) & ~np.isfinite(losses)] = step + 1
            total += losses * ages.shape[1]
            count += ages.shape[1]
        return total / count, bad_steps

    def predictions(self) -> dict[str, np.ndarray]:
        """Of each head, years, shape `(heads, faces)`, by `train` and `val`."""
        with whole_step():
            return {name: self.heads.predict(each) for name, each in self._vectors.items()}

    def records(self, predictions: dict[str, np.ndarray]) -> list[dict[str, float]]:
        """The errors of each head."""
        return epoch_metrics_of_many(self._parts, predictions, self._loss)


def _vectors(part: Part) -> np.ndarray:
    """Pooled activations of all faces, float32 `(n, width)`: nothing is dropped when measuring."""
    pieces = []
    for start in range(0, len(part), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(part)))
        activations = part.inputs(rows).astype(np.float32)
        pieces.append(activations.mean(axis=(1, 2)) if activations.ndim == 4 else activations)
    return np.concatenate(pieces)


def _epoch_line(trials: Sequence[SideTrial], epoch: int, epochs: int, seconds: float) -> str:
    errors = [trial.history.epochs[-1]["mae/val"] for trial in trials]
    left = (epochs - epoch) * seconds
    return (
        f"epoch {epoch:>{len(str(epochs))}}/{epochs}  {len(trials)} trials"
        f"  val MAE {min(errors):6.2f} to {max(errors):6.2f}  {seconds:5.1f} s"
        + (f"  ETA {spell_seconds(left)}" if left else "")
    )
