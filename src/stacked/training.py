"""Training of a stack of heads, epoch by epoch until all are over."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from src.core.console import stderr
from src.core.errors import EnvironmentFaultError
from src.core.signals import whole_step
from src.data import Part
from src.stacked.heads import StackedHeads
from src.stacked.trial import StackedTrial, arrays_of, load_states
from src.training.activations import Inputs
from src.training.active import epoch_line
from src.training.history import epoch_record
from src.training.measurement import epoch_metrics_of_many
from src.training.program import Program

_ROWS = 512  # of a batch of pooling
_SAVE_SECONDS = 5.0  # between checkpoints; an epoch takes milliseconds and is trained again
_SAVE_SHARE = 20  # least ratio of that time to the time of saving


def train(trials: Sequence[StackedTrial], program: Program, inputs: Inputs) -> None:
    """Trains a stack until all its trials are over. MLflow gets their epochs at their ends.

    Args:
        trials: Trials of one stack.
        program: A model of their shape.
        inputs: Inputs of any of them.
    """
    load_states(trials, program)
    trials = [trial for trial in trials if trial.result is None]
    if not trials:
        return
    config = trials[0].config
    saved_at = time.monotonic()
    save_seconds = 0.0
    heads = StackedHeads(
        [trial.config for trial in trials], [trial.latest for trial in trials], len(inputs.batches)
    )
    epochs = _Epochs(heads, trials[0], inputs)
    try:
        for epoch in range(trials[0].num_inherited, config.fit.last_epoch):
            active = [trial for trial in trials if not trial.is_over]
            if not active:
                break
            seconds = _train_epoch(trials, epochs, epoch)
            if time.monotonic() - saved_at > max(_SAVE_SECONDS, _SAVE_SHARE * save_seconds):
                started = time.monotonic()
                _save(trials, program)
                saved_at = time.monotonic()
                save_seconds = saved_at - started
            records = [t.history.epochs[-1] for t in active if len(t.history) == epoch + 1]
            if records:
                left = (config.fit.last_epoch - epoch - 1) * seconds
                stderr.print(epoch_line(records, config.fit.last_epoch, seconds, left))
    except BaseException:
        try:
            _save(trials, program)
        except EnvironmentFaultError as error:  # the first error is the one to raise
            stderr.print(str(error), markup=False)
        raise


def _save(trials: Sequence[StackedTrial], program: Program) -> None:
    """Writes the states that are not on disk yet.

    Raises:
        EnvironmentFaultError: If one could not be written, after all others were.
    """
    fault = None
    for trial in trials:
        history = trial.history
        if trial.result or trial.infeasible or len(history) == trial.num_inherited:
            continue
        latest = arrays_of(program, trial.latest, trial.config)
        best, _ = arrays_of(program, trial.best, trial.config)
        try:
            trial.checkpoint.write(*latest, history, best)
        except EnvironmentFaultError as error:
            fault = error
    if fault is not None:
        raise fault


def _train_epoch(trials: Sequence[StackedTrial], epochs: "_Epochs", epoch: int) -> float:
    """Trains and measures an epoch (from 0) of the trials that are not over.

    Returns:
        Its duration, s; the record of each trial has the trial's share.
    """
    active = [(index, trial) for index, trial in enumerate(trials) if not trial.is_over]
    started = time.perf_counter()
    running, bad_steps = epochs.train(epoch)
    train_seconds = time.perf_counter() - started
    predictions = epochs.predictions()
    errors = epoch_metrics_of_many(epochs.parts, predictions, epochs.loss)
    states, rates = epochs.heads.states(), epochs.heads.learning_rates()
    seconds = time.perf_counter() - started
    for index, trial in active:
        if bad_steps[index]:
            trial.set_diverged(epoch + 1, int(bad_steps[index]))
            continue
        record = epoch_record(
            errors[index],
            epoch + 1,
            running_loss=float(running[index]),
            learning_rate=float(rates[index]),
            num_faces=epochs.num_faces,
            train_seconds=train_seconds / len(active),
            epoch_seconds=seconds / len(active),
        )
        if not trial.add(record, epochs.num_steps):
            continue
        trial.latest = states[index]
        if trial.history.best_epoch == len(trial.history):
            trial.best = trial.latest
            # A view would keep the predictions of the whole stack while this epoch is the best.
            own = {name: of_all[index].copy() for name, of_all in predictions.items()}
            trial.predictions = own
    return seconds


class _Epochs:
    """Epochs of a stack: training and measurement of its heads.

    Attributes:
        heads: The heads.
        num_faces: Number of training faces.
        num_steps: Steps of an epoch.
        parts: Faces to measure, by `train` and `val`.
        loss: Keras's name of the loss.
    """

    def __init__(self, heads: StackedHeads, trial: StackedTrial, inputs: Inputs) -> None:
        config, faces = trial.config, trial.dataset.part("train")
        self.heads = heads
        self.num_faces = len(faces)
        self.num_steps = len(inputs.batches)
        batches = replace(
            inputs.batches, batch_size=config.data.batch_size, augmentation=config.augmentation
        )
        self._batches = {seed: replace(batches, seed=seed) for seed in heads.streams}
        self.parts = inputs.parts
        self._vectors = {name: _vectors(part) for name, part in inputs.parts.items()}
        self.loss = str(config.model.loss)

    def train(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns each head's running loss, and its first step whose loss was no number, or 0."""
        total, count = np.zeros(len(self.heads)), 0
        bad_steps = np.zeros(len(self.heads), int)
        for step in range(self.num_steps):
            drawn = [self._batches[seed].batch(epoch, step) for seed in self.heads.streams]
            activations, labels = (np.stack(each) for each in zip(*drawn, strict=True))
            with whole_step():
                losses = self.heads.train_batch(activations, labels)
            bad_steps[(bad_steps == 0) & ~np.isfinite(losses)] = step + 1
            total += losses * labels.shape[1]
            count += labels.shape[1]
        return total / count, bad_steps

    def predictions(self) -> dict[str, np.ndarray]:
        """Returns the predictions of each head, shape `(heads, faces)`, by `train` and `val`."""
        with whole_step():
            return {name: self.heads.predict(each) for name, each in self._vectors.items()}


def _vectors(part: Part) -> np.ndarray:
    """Returns pooled activations of all faces, float32 `(n, width)`, without dropout."""
    pieces = []
    for start in range(0, len(part), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(part)))
        activations = part.inputs(rows).astype(np.float32)
        pieces.append(activations.mean(axis=(1, 2)) if activations.ndim == 4 else activations)
    return np.concatenate(pieces)
