"""Trials that differ only after a frozen backbone, trained side by side in one program.

Each stays a run of its own, with its own curve, state, checkpoint and end, and comes to what it
would come to alone; `src.model.stacked` says how.
"""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import psutil

from src.config import Config, run_name
from src.config.schema import AdamConfig, DropoutPosition
from src.console import spell_seconds, stderr
from src.data import Dataset, Part, TrainingBatches, prepare
from src.errors import EnvironmentFaultError
from src.model.stacked import Lane, StackedHeads, State, initial_state, named_variables, weights_of
from src.tracking import Run, Runs, Start, trial_runs
from src.tracking.checkpoints import checkpoint_folder
from src.training import record
from src.training.activations import ActivationBatches, ActivationPart, Inputs
from src.training.checkpoint import Checkpoint, open_checkpoint
from src.training.epochs import DivergedError
from src.training.history import EpochRecord, History
from src.training.program import Program
from src.training.result import TrialResult
from src.training.trial import (
    can_be_promoted,
    refuse_missing_test_part,
    run_trial,
    signals_interrupt,
    start_model,
    what_was_done,
)

_SAVE_SECONDS = 5.0  # between states on disk; an epoch takes milliseconds and is trained again
_SAVE_SHARE = 20  # and at least so many times what saving takes
_NUM_ENDED_AT_ONCE = 16  # trials whose ends are written in one transaction
_ROWS = 512  # pooled at a time
_MAX_BYTES = 4e9  # that heads may take, however many there are and however wide
_NUM_COPIES = 10  # of its weights: itself, its gradient, Adam's two, the latest and best states
_NUM_INPUTS = 3  # of a batch, where its seed is nobody else's: activations, draws, what is left


@dataclass
class _Trial:
    """One of the trials.

    Attributes:
        config: Its configuration.
        saved: Its checkpoint.
        run: Its run.
        history: Its finished epochs.
        num_inherited: Epochs that were finished when this process began.
        latest: Its state after the latest epoch.
        best: Its weights after the best epoch.
        is_over: Whether it trains no more.
        result: What it came to.
    """

    config: Config
    saved: Checkpoint
    run: Run
    history: History
    num_inherited: int
    latest: State
    best: State
    is_over: bool = False
    result: TrialResult | Exception | None = None


def run_side_by_side(configs: Sequence[Config]) -> list[TrialResult | Exception]:
    """Train and measure the configurations of one group (see `config.side_by_side`).

    Where there is no room for their activations, one after the other, as a line then says.

    Returns:
        What each came to, in their order; the exception where one failed by itself.

    Raises:
        ValueError: If the data or the weights are not usable as configured.
        FileNotFoundError: If data or weights are missing.
        RuntimeError: If the disk is full.
        KeyboardInterrupt: If it is interrupted; all that have not ended are WAITING, and go on
            from their last saved epoch when they are started again, alone or side by side.
    """
    started = time.perf_counter()
    first = configs[0]
    with signals_interrupt():
        dataset = prepare(first.data)
        refuse_missing_test_part(first, dataset)
        program, inputs = start_model(first, dataset)
        is_tensorflow = keras.backend.backend() == "tensorflow"
        if not is_tensorflow:
            stderr.print("One by one: heads train side by side on KERAS_BACKEND=tensorflow only.")
        if not is_tensorflow or not isinstance(inputs.batches, ActivationBatches):
            return [_run_alone(config) for config in configs]
        results: dict[int, TrialResult | Exception] = {}
        with contextlib.ExitStack() as stack:
            saved: dict[int, Checkpoint] = {}
            for place, config in enumerate(configs):
                folder = checkpoint_folder(config, dataset.digest)
                try:
                    saved[place] = stack.enter_context(open_checkpoint(folder))
                except EnvironmentFaultError as error:  # another process runs it
                    results[place] = error
            ours = [configs[place] for place in saved]
            before = [what_was_done(c.fit, s) for c, s in zip(ours, saved.values(), strict=True)]
            runs = stack.enter_context(_open_runs(ours, dataset, before))
            trials = [
                _Trial(config, one, run, History(run.id, done.epochs if done else ()),
                       len(done) if done else 0, {}, {})
                for config, one, done, run in zip(
                    ours, saved.values(), before, runs.all, strict=True
                )
            ]  # fmt: skip
            _log_starts(trials, runs, dataset)
            stderr.print(f"{len(trials)} trials side by side.")
            shared_seconds = (time.perf_counter() - started) / max(1, len(trials))
            for number, members in enumerate(_stacks(trials)):
                if number:
                    program, inputs = start_model(members[0].config, dataset)
                for portion in _that_fit_into_memory(members, program):
                    began = time.perf_counter() - shared_seconds * len(portion)
                    _train(portion, runs, program, inputs, dataset)
                    _finish(portion, runs, program, inputs, dataset, began)
            results |= {
                place: trial.result
                for place, trial in zip(saved, trials, strict=True)
                if trial.result is not None
            }
    return [results[place] for place in range(len(configs))]


def _run_alone(config: Config) -> TrialResult | Exception:
    try:
        return run_trial(config)
    except Exception as error:
        return error


def _open_runs(
    configs: Sequence[Config], dataset: Dataset, before: Sequence[History | None]
) -> contextlib.AbstractContextManager[Runs]:
    starts = [
        Start(
            run_name(config),
            record.tags(config, dataset.digest) | {"side_by_side": str(len(configs))},
            config.study.run_id or (done.run_id if done else None),
        )
        for config, done in zip(configs, before, strict=True)
    ]
    tracking = configs[0].tracking
    return trial_runs(tracking.experiment, starts, tracking.system_metrics)


def _log_starts(trials: Sequence[_Trial], runs: Runs, dataset: Dataset) -> None:
    with runs.together():
        for trial in trials:
            if trial.run.is_new:
                record.log_start(trial.run, trial.config, dataset)
            trial.run.log_epochs(trial.history.epochs)


def _stacks(trials: Sequence[_Trial]) -> list[list[_Trial]]:
    """The trials by what a stack must share, the heads' shape first."""
    stacks = defaultdict(list)
    for trial in trials:
        stacks[_stack_key(trial)].append(trial)
    return list(stacks.values())


def _stack_key(trial: _Trial) -> tuple[Any, ...]:
    config = trial.config
    optimizer = replace(config.optimizer, learning_rate=1.0, clipnorm=None)
    if isinstance(optimizer, AdamConfig):
        optimizer = replace(optimizer, beta_1=0.0, beta_2=0.0, epsilon=1.0)
    decays = getattr(optimizer, "weight_decay", None) is not None
    # Without dropout a feature map is pooled at once; of a vector it would save next to nothing.
    is_map = config.model.dropout_position is DropoutPosition.before_pooling
    drops = is_map and config.model.dropout_rate > 0
    return (
        str(replace(config.model, dropout_rate=float(drops))),
        str(replace(optimizer, weight_decay=float(decays))),  # type: ignore[call-arg]
        decays,
        config.data.batch_size,
        str(config.schedule),
        trial.num_inherited,
    )


def _that_fit_into_memory(trials: Sequence[_Trial], program: Program) -> Iterator[list[_Trial]]:
    """The trials in portions; nearly always one."""
    num_weights = sum(int(np.prod(variable.shape)) for variable in program.weights)
    num_inputs = int(np.prod(program.learner.input.shape[1:]))
    num_inputs *= trials[0].config.data.batch_size
    limit = min(_MAX_BYTES, psutil.virtual_memory().available / 4)
    size = max(1, int(limit // (4 * (_NUM_COPIES * num_weights + _NUM_INPUTS * num_inputs))))
    for start in range(0, len(trials), size):
        yield list(trials[start : start + size])


def _train(
    trials: Sequence[_Trial], runs: Runs, program: Program, inputs: Inputs, dataset: Dataset
) -> None:
    """Train a stack until all its trials are over."""
    first = trials[0].config
    fit, train = first.fit, dataset.part("train")
    assert isinstance(inputs.batches, ActivationBatches)  # noqa: S101  run_side_by_side
    _load_states(trials, runs, program, float(train.ages.mean()))
    trials = [trial for trial in trials if trial.result is None]
    if not trials:
        return
    lanes = [Lane(t.config.model, t.config.optimizer, t.config.seed, t.latest) for t in trials]
    steps = len(inputs.batches)
    heads = StackedHeads(lanes, first.schedule, steps, fit.epochs)
    batches = {
        seed: inputs.batches.in_order_of(
            TrainingBatches(train, first.data.batch_size, first.augmentation, seed)
        )
        for seed in heads.streams
    }
    faces = {"train": inputs.train, "val": inputs.val}
    vectors = {name: _vectors(part) for name, part in faces.items()}
    keeper = _Keeper(trials, program)
    for trial in trials:
        trial.is_over = _is_over(trial)
    try:
        for epoch in range(len(trials[0].history), fit.last_epoch):
            alive = [trial for trial in trials if not trial.is_over]
            if not alive:
                break
            started = time.perf_counter()
            running, bad_steps = _train_epoch(heads, batches, epoch, steps)
            train_seconds = time.perf_counter() - started
            predicted = {name: heads.predict(each) for name, each in vectors.items()}
            records = _records(str(first.model.loss), faces, predicted)
            states, rates = heads.states(), heads.learning_rates()
            seconds = time.perf_counter() - started
            for place, trial in enumerate(trials):
                if trial.is_over:
                    continue
                if bad_steps[place] or not np.isfinite(records[place]["mae/val"]):
                    _give_up(trial, epoch + 1, int(bad_steps[place]) or steps)
                    continue
                trial.history = trial.history.plus({
                    **records[place],
                    "epoch": epoch + 1,
                    "loss/running": float(running[place]),
                    "learning_rate": float(rates[place]),
                    "time/train_seconds": train_seconds / len(alive),
                    "time/images_per_second": len(train) * len(alive) / train_seconds,
                    "time/measure_seconds": (seconds - train_seconds) / len(alive),
                    "time/epoch_seconds": seconds / len(alive),
                })  # fmt: skip
                trial.latest = states[place]
                if trial.history.best_epoch == len(trial.history):
                    trial.best = states[place]
            going = [trial for trial in alive if not trial.is_over]
            runs.log_epochs([t.run for t in going], [t.history.epochs[-1] for t in going])
            keeper.save_if_due()
            for trial in going:
                trial.is_over = _is_over(trial)
            if going:
                stderr.print(_epoch_line(going, epoch + 1, fit.last_epoch, seconds))
    except BaseException:
        try:
            keeper.save()
        except EnvironmentFaultError as error:  # the first fault is the one to raise
            stderr.print(str(error), markup=False)
        raise


def _train_epoch(
    heads: StackedHeads, batches: dict[int, ActivationBatches], epoch: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each head's running loss, and the first step (from 1) whose loss was no number, or 0."""
    total, count = np.zeros(len(heads)), 0
    bad_steps = np.zeros(len(heads), int)
    for step in range(steps):
        drawn = [batches[seed].batch(epoch, step) for seed in heads.streams]
        activations, ages = (np.stack(each) for each in zip(*drawn, strict=True))
        losses = heads.train_batch(activations, ages)
        bad_steps[(bad_steps == 0) & ~np.isfinite(losses)] = step + 1
        total += losses * ages.shape[1]
        count += ages.shape[1]
    return total / count, bad_steps


def _records(
    loss: str, faces: dict[str, Part], predicted: dict[str, np.ndarray]
) -> list[EpochRecord]:
    """What `measurement.epoch_metrics` gives, for all heads at once."""
    metrics: dict[str, np.ndarray] = {}
    for name, part in faces.items():
        ages = np.broadcast_to(part.ages, predicted[name].shape)
        errors = np.abs(predicted[name] - ages, dtype=np.float64)
        metrics[f"mae/{name}"] = errors.mean(axis=1)
        losses = keras.losses.get(loss)(ages, predicted[name])
        metrics[f"loss/{name}"] = keras.ops.convert_to_numpy(losses)
    metrics["mae/gap"] = metrics["mae/val"] - metrics["mae/train"]
    return [
        {key: float(values[place]) for key, values in metrics.items()}
        for place in range(len(metrics["mae/gap"]))
    ]


def _vectors(part: Part) -> np.ndarray:
    """Pooled activations of all faces, float32 `(n, width)`: nothing is dropped when measuring."""
    assert isinstance(part, ActivationPart)  # noqa: S101  run_side_by_side
    pieces = []
    for start in range(0, len(part), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(part)))
        activations = part.inputs(rows).astype(np.float32)
        pieces.append(activations.mean(axis=(1, 2)) if activations.ndim == 4 else activations)
    return np.concatenate(pieces)


def _load_states(trials: Sequence[_Trial], runs: Runs, program: Program, mean_age: float) -> None:
    """What each trial starts from: its seed, or its checkpoint. A damaged one fails its trial."""
    fresh: dict[int, State] = {}
    shape = tuple(program.learner.input.shape[1:])
    for trial in trials:
        if trial.num_inherited:
            try:
                trial.saved.restore(program, trial.history)
                trial.latest = _state_of(program)
                trial.saved.restore_best(program, trial.history)
                trial.best = weights_of(program.learner)
            except EnvironmentFaultError as error:
                trial.result = error
                runs.fail([trial.run])
            continue
        seed = trial.config.seed
        if seed not in fresh:
            fresh[seed] = initial_state(trial.config.model, mean_age, shape, seed)
        trial.latest = trial.best = fresh[seed]


def _is_over(trial: _Trial) -> bool:
    """As `EpochEnd.is_over`; a trial with a pruner trains alone."""
    fit, history = trial.config.fit, trial.history
    return (
        trial.is_over
        or len(history) >= fit.last_epoch
        or history.stops_early(fit.early_stopping_patience)
    )


def _give_up(trial: _Trial, epoch: int, step: int) -> None:
    """The loss is no number: the configuration is infeasible."""
    error = DivergedError(epoch, step, trial.config.optimizer.learning_rate)
    trial.run.set_infeasible(str(error))
    trial.result = TrialResult.of_infeasible(trial.run, trial.history, str(error))
    trial.is_over = True


class _Keeper:
    """Writes the trials' states to their checkpoints now and then."""

    def __init__(self, trials: Sequence[_Trial], program: Program) -> None:
        self._trials = trials
        self._program = program
        self._saved_at = time.monotonic()
        self._took = 0.0
        self._kept_best = {trial.run.id: trial.history.best_epoch for trial in trials}

    def save_if_due(self) -> None:
        """Save, unless that was done a moment ago."""
        if time.monotonic() - self._saved_at > max(_SAVE_SECONDS, _SAVE_SHARE * self._took):
            self.save()

    def save(self) -> None:
        """Write what is not on disk yet.

        Raises:
            RuntimeError: If something could not be written, after all the rest was.
        """
        started = time.monotonic()
        fault = None
        for trial in self._trials:
            if trial.result is not None or len(trial.history) == trial.num_inherited:
                continue
            latest = _arrays(self._program, trial.latest, trial.config)
            best: Sequence[np.ndarray] = ()
            if trial.history.best_epoch not in (len(trial.history), self._kept_best[trial.run.id]):
                best, _ = _arrays(self._program, trial.best, trial.config)
            try:
                trial.saved.write(*latest, trial.history, best)
                self._kept_best[trial.run.id] = trial.history.best_epoch
            except EnvironmentFaultError as error:
                fault = error
        self._saved_at = time.monotonic()
        self._took = self._saved_at - started
        if fault is not None:
            raise fault


def _finish(
    trials: Sequence[_Trial], runs: Runs, program: Program, inputs: Inputs, dataset: Dataset,
    began: float,
) -> None:  # fmt: skip
    """Log what each trial came to and end its run, the best first: of later ones no model stays."""
    alive = [trial for trial in trials if not isinstance(trial.result, Exception)]
    ranked = sorted(
        alive, key=lambda t: (t.result is not None, min(t.history.curve, default=np.inf))
    )
    portions = [ranked[:1]] + [
        ranked[place : place + _NUM_ENDED_AT_ONCE]
        for place in range(1, len(ranked), _NUM_ENDED_AT_ONCE)
    ]
    has_best = False
    for portion in portions:
        with runs.together():
            for trial in portion:
                seconds = (time.perf_counter() - began) / len(trials)
                try:
                    _finish_one(trial, program, inputs, dataset, seconds, may_be_best=not has_best)
                    has_best = True
                except Exception as error:
                    trial.result = error
                    runs.fail([trial.run])
            runs.close([t.run for t in portion if isinstance(t.result, TrialResult)])
        for trial in portion:
            trial.latest, trial.best = {}, {}  # no longer needed, and many
            result = trial.result
            if isinstance(result, TrialResult) and not can_be_promoted(trial.config.fit, result):
                trial.saved.clear()


def _finish_one(
    trial: _Trial, program: Program, inputs: Inputs, dataset: Dataset, seconds: float,
    may_be_best: bool,
) -> None:  # fmt: skip
    run, config = trial.run, trial.config
    if trial.result is None:
        best, _ = _arrays(program, trial.best, config)
        for variable, value in zip(program.weights, best, strict=True):
            variable.assign(value)
        metrics = record.log_outcome(
            run, config, dataset, program, inputs, trial.history, may_be_best
        )
        trial.result = TrialResult.of_measured(run, trial.history, metrics)
        if can_be_promoted(config.fit, trial.result):
            latest = _arrays(program, trial.latest, config)
            trial.saved.write(*latest, trial.history, best)
    record.log_duration(run, trial.history, trial.history.epochs[: trial.num_inherited], seconds)
    assert isinstance(trial.result, TrialResult)  # noqa: S101  set above
    run.describe(trial.result.headline())


def _state_of(program: Program) -> State:
    """A lone program's state as a lane of a stack has it."""
    state = weights_of(program.learner)
    iteration, moments = _optimizer_parts(program)
    state["optimizer/iteration"] = keras.ops.convert_to_numpy(iteration)
    for place, moment in enumerate(moments):
        state[f"optimizer/{place}"] = keras.ops.convert_to_numpy(moment)
    return state


def _arrays(
    program: Program, state: State, config: Config
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A lane's state as a lone program's `weights` and `other_variables` have it."""
    names = {id(variable): name for name, variable in named_variables(program.learner)}
    iteration, moments = _optimizer_parts(program)
    names[id(iteration)] = "optimizer/iteration"
    names |= {id(moment): f"optimizer/{place}" for place, moment in enumerate(moments)}

    def value(variable: keras.Variable) -> np.ndarray:
        if id(variable) in names:
            default = np.zeros(variable.shape, variable.dtype)  # an optimizer that made no step
            return np.reshape(state.get(names[id(variable)], default), variable.shape)
        rates = {"rate": config.model.dropout_rate, "learning_rate": config.optimizer.learning_rate}
        return np.asarray(rates[variable.name], variable.dtype)

    return list(map(value, program.weights)), list(map(value, program.other_variables))


def _optimizer_parts(program: Program) -> tuple[keras.Variable, list[keras.Variable]]:
    """The number of steps, and what is kept for each parameter, in Keras's order."""
    optimizer = program.fitted.optimizer
    rest = [each for each in optimizer.variables if each.name not in ("iteration", "learning_rate")]
    return optimizer.iterations, rest


def _epoch_line(trials: Sequence[_Trial], epoch: int, epochs: int, seconds: float) -> str:
    errors = [trial.history.epochs[-1]["mae/val"] for trial in trials]
    left = (epochs - epoch) * seconds
    return (
        f"epoch {epoch:>{len(str(epochs))}}/{epochs}  {len(trials)} trials"
        f"  val MAE {min(errors):6.2f} to {max(errors):6.2f}  {seconds:5.1f} s"
        + (f"  ETA {spell_seconds(left)}" if left else "")
    )
