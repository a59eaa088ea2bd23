"""Bookkeeping of a study in the tracking store."""

import dataclasses
import functools
import hashlib
import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

from src.config import Config, configuration_hash, program, run_name, stack_group
from src.core import names
from src.core.errors import UsageError
from src.core.names import State
from src.data import prepare
from src.records.trial import TrialRecord
from src.search.launch import Launch
from src.search.loop import Ending, Event, Job, Outcome
from src.search.search import Suggestion
from src.tracking.checkpoints import checkpoint_folder, forget
from src.tracking.study import StudyStore

_ENDED = (State.COMPLETE, State.PRUNED, State.FAILED)


class StudyBookkeeping:
    """Recognises trials that were run before, by configuration and data, and numbers new ones.

    Trials of an adaptive search carry the order of all calls as tags, so that a later launch can
    repeat them: `sweep.suggestion` (index), `sweep.asked` and `sweep.told` (positions in the
    sequence of calls), `sweep.values` (JSON).

    Args:
        store: The study.
        launch: Its description. The traits of its search decide what is recorded, and what a
            refused configuration is.
        stacks_heads: Trials that can train as stacked heads do so.
        is_read_only: Nothing is written, as for a plan.
    """

    def __init__(
        self, store: StudyStore, launch: Launch, stacks_heads: bool, is_read_only: bool
    ) -> None:
        self._store = store
        self._launch = launch
        self._search = launch.settings.search_class
        self._is_read_only = is_read_only
        self._stacks_heads = stacks_heads
        self._digest = functools.cache(lambda data: prepare(data, launch.terms.target).digest)
        trials = [trial for trial in store.trials() if not trial.runs_on_another_host]
        self._suggested = [trial for trial in trials if names.ASKED in trial.tags]
        self._records = {
            (trial.configuration_hash, trial.data_digest): trial for trial in _best_last(trials)
        }
        self._numbers = {trial.number for trial in trials if trial.number is not None}
        self._drawn: set[tuple[str, str]] = set()
        self._asked = {
            int(trial.tags[names.SUGGESTION]): int(trial.tags[names.ASKED])
            for trial in self._suggested
        }
        told = [int(trial.tags[names.TOLD]) for trial in trials if names.TOLD in trial.tags]
        self._events = itertools.count(max([*self._asked.values(), *told], default=-1) + 1)

    def events(self) -> list[Event]:
        """Returns the calls of former launches in their order, for `Loop.restore`."""
        last_asked = max(self._asked.values(), default=-1)
        events: dict[int, Event] = {}
        for trial in self._suggested:
            index, values = int(trial.tags[names.SUGGESTION]), json.loads(trial.tags[names.VALUES])
            asked, told = int(trial.tags[names.ASKED]), int(trial.tags.get(names.TOLD, -1))
            events[asked] = index, values
            # A failure after which nothing was suggested can still be corrected.
            if told > -1 and (told < last_asked or not self._outcome(trial).has_failed):
                events[told] = index, None
        return [events[position] for position in sorted(events)]

    def running_elsewhere(self, jobs: Sequence[Job]) -> list[str]:
        """Returns the runs of these trials that another process of this host trains."""
        records = [self._records[job.key] for job in jobs if job.key in self._records]
        return [record.run_id for record in records if record.process is not None]

    def enter(self, suggestion: Suggestion, replicate: int, promoted: Job | None) -> Job:
        """Returns the job; a configuration that was entered before gets the next seed.

        Raises:
            UsageError: If the configuration is refused, and the search is a listed one.
        """
        if suggestion.index not in self._asked:  # its replicates share one position
            self._asked[suggestion.index] = next(self._events)
        overrides = self._launch.overrides(suggestion.values)
        fidelity = suggestion.epochs
        if fidelity is not None:
            overrides.append(f"fit.fidelity={fidelity}")
        try:
            config = self._launch.compose(overrides)
        except UsageError as error:
            if self._search.is_listed:
                raise
            return self._enter_invalid(suggestion, replicate, overrides, str(error))
        digest = self.digest(config)
        if promoted is not None:
            replicate = promoted.replicate
        else:  # a draw that was made before, at any fidelity, gets the next free seed
            while (_lineage(config, replicate), digest) in self._drawn:
                replicate += 1
            self._drawn.add((_lineage(config, replicate), digest))
        keep_state = config.fit.keep_state or fidelity is not None
        fit = dataclasses.replace(config.fit, keep_state=keep_state)
        config = dataclasses.replace(config, seed=config.seed + replicate, fit=fit)
        key = (configuration_hash(config), digest)
        number = self._number(key, config.study.trial)
        config = dataclasses.replace(config, study=dataclasses.replace(config.study, trial=number))
        spent = promoted.suggestion.epochs or 0 if promoted else 0
        job = Job(
            number, suggestion, replicate, tuple(overrides), config, key,
            epochs=config.fit.last_epoch - spent,
            title=_title(suggestion, config, replicate),
            program=program(config),
            group=stack_group(config) if self._stacks_heads else None,
        )  # fmt: skip
        record = self._records.get(key)
        if record is not None:
            if not self._is_read_only:
                self._adopt(record, job, config)
            # A trial whose artifacts could not be stored stores them, without training.
            is_ended = record.state in _ENDED and (
                self._search.is_adaptive or names.ARTIFACT_FAILURE not in record.tags
            )
            job.outcome = self._outcome(record) if is_ended else None
        return job

    def start(self, job: Job) -> None:
        """Creates the trial's run unless there is one, and puts it into the configuration."""
        config = job.config
        if config is None:
            return
        if job.key not in self._records:
            run_id = self._store.create_trial(run_name(config), self._tags(job))
            self._records[job.key] = self._store.trial(run_id)
        study = dataclasses.replace(config.study, run_id=self._records[job.key].run_id)
        job.config = dataclasses.replace(config, study=study)

    def settle(self, job: Job, ending: Ending) -> Outcome:
        """Returns what the store has of a trial, and closes a run that its process left open."""
        run_id = self._records[job.key].run_id
        record = self._store.trial(run_id)
        if record.state is State.RUNNING:
            self._store.mend()
            record = self._store.trial(run_id)
        waits_to_continue = record.state is State.WAITING and ending.is_interrupted
        if record.state in (State.RUNNING, State.WAITING) and not waits_to_continue:
            self._store.fail(run_id, ending.failure, ending.details)
        elif record.state is State.FAILED and names.INFEASIBLE not in record.tags:
            self._store.set_tags(run_id, {names.FAILURE: ending.failure[:5000]})
        self._records[job.key] = self._store.trial(run_id)
        return self._outcome(self._records[job.key])

    def told(self, jobs: Sequence[Job]) -> None:
        """Records the position of the call in the sequence of all calls."""
        position = str(next(self._events))
        for job in jobs:
            self._store.set_tags(self._records[job.key].run_id, {names.TOLD: position})

    def release(self, jobs: Sequence[Job], keep: Sequence[Job]) -> None:
        """Deletes the kept states of these jobs' trials, except those of `keep`."""
        for folder in self._folders(jobs) - self._folders(keep):
            forget(folder)

    def digest(self, config: Config) -> str:
        """Returns the data's digest; reading the data also checks it and fills the cache."""
        return self._digest(dataclasses.replace(config.data, batch_size=1))

    def _folders(self, jobs: Sequence[Job]) -> set[Path]:
        """Returns the folders of the trials' states; all fidelities of a trial share one."""
        configs = [job.config for job in jobs if job.config and job.config.fit.fidelity is not None]
        return {checkpoint_folder(config, self.digest(config)) for config in configs}

    def _enter_invalid(
        self, suggestion: Suggestion, replicate: int, overrides: list[str], reason: str
    ) -> Job:
        text = "\n".join([*overrides, str(suggestion.index), str(replicate)])
        key = ("invalid-" + hashlib.sha256(text.encode()).hexdigest()[:12], "")
        title = " ".join(f"{k}={v}" for k, v in suggestion.values.items())
        job = Job(
            self._number(key, None), suggestion, replicate, tuple(overrides), key=key, title=title
        )
        if key not in self._records and not self._is_read_only:
            tags = {**self._tags(job), names.INFEASIBLE: reason[:5000]}
            run_id = self._store.create_trial(f"trial {job.number}", tags)
            self._store.fail(run_id, "", "")
            self._records[key] = self._store.trial(run_id)
        job.outcome = Outcome(State.FAILED, infeasible=reason)
        return job

    def _number(self, key: tuple[str, str], wanted: int | None) -> int:
        record = self._records.get(key)
        if record is not None and record.number is not None:
            return record.number
        if wanted is None or wanted in self._numbers:
            wanted = next(n for n in itertools.count(1) if n not in self._numbers)
        self._numbers.add(wanted)
        return wanted

    def _adopt(self, record: TrialRecord, job: Job, config: Config) -> None:
        tags = {k: v for k, v in self._tags(job).items() if k not in record.tags}
        if names.TRIAL in tags:  # it had no number, and was named after its hyperparameters
            tags[names.RUN_NAME] = run_name(config)
        if tags or record.tags.get(names.PARENT_RUN) != self._store.parent_id:
            self._store.adopt(record.run_id, tags)

    def _tags(self, job: Job) -> dict[str, str]:
        suggestion = job.suggestion
        tags = {
            names.TRIAL: str(job.number),
            names.REPLICATE: str(job.replicate),
            names.CONFIGURATION: job.title[:5000],
            names.CONFIGURATION_HASH: job.key[0],
        }
        if job.key[1]:
            tags[names.DATA_DIGEST] = job.key[1]
        if self._search.is_adaptive:
            tags |= {
                names.SUGGESTION: str(suggestion.index),
                names.ASKED: str(self._asked[suggestion.index]),
                names.VALUES: json.dumps(dict(suggestion.values)),
            }
        if suggestion.promoted_from is not None:
            tags[names.PROMOTED_FROM] = str(suggestion.promoted_from)
        if suggestion.bracket is not None:
            tags |= {names.BRACKET: str(suggestion.bracket), names.RUNG: str(suggestion.rung)}
        return tags

    def _outcome(self, record: TrialRecord) -> Outcome:
        objective = self._launch.terms.objective
        value = record.metrics.get(objective.metric, math.nan)
        return Outcome(
            state=record.state,
            value=value,
            cost=objective.cost(value),
            infeasible=record.tags.get(names.INFEASIBLE, ""),
            failure=record.tags.get(names.FAILURE, "") if record.state is State.FAILED else "",
        )


def _lineage(config: Config, replicate: int) -> str:
    """Returns the configuration's hash under a replicate's seed, without its fidelity."""
    fit = dataclasses.replace(config.fit, fidelity=None)
    return configuration_hash(dataclasses.replace(config, seed=config.seed + replicate, fit=fit))


def _best_last(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Returns the trials so that, of several runs of one configuration, the one to keep is last.

    A run whose result a search has is kept before all others.
    """
    rank = {State.COMPLETE: 3, State.PRUNED: 2, State.WAITING: 1, State.RUNNING: 1}
    return sorted(
        trials,
        key=lambda trial: (
            names.TOLD in trial.tags, rank.get(trial.state, 0), trial.number is not None
        ),
    )  # fmt: skip


def _title(suggestion: Suggestion, config: Config, replicate: int) -> str:
    words = [f"{key.rpartition('.')[2]} {text}" for key, text in suggestion.values.items()]
    if replicate:
        words.append(f"seed {config.seed}")
    if suggestion.epochs is not None:
        words.append(f"{suggestion.epochs} epochs")
    return ", ".join(words)
