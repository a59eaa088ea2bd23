"""A study's book in the tracking store: what was suggested, what is known, what comes next."""

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from src.config import Config, configuration_hash, program, run_name, stack_group
from src.core import names
from src.core.errors import UsageError
from src.core.names import State
from src.data import prepare
from src.records.trial import TrialRecord
from src.search.loop import Ending, Job, Outcome
from src.search.oracles import Suggestion
from src.tracking.checkpoints import checkpoint_folder, forget
from src.tracking.study import StudyStore

Compose = Callable[[Sequence[str]], Config]
"""From overrides to a checked configuration; raises `UsageError`."""

_ENDED = (State.COMPLETE, State.PRUNED, State.FAILED)


class StudyBook:
    """Recognises what was run before by configuration and data, and numbers what is new.

    A trial of a search that learns carries its place in it as tags, so that a later launch can ask
    and tell in the same order: `sweep.suggestion` (index), `sweep.asked` and `sweep.told` (places
    in the order of all events), `sweep.values` (JSON).

    Attributes:
        skips_invalid: Whether a configuration that is refused becomes an infeasible trial
            (a search stumbles upon it) or a mistake of the person who wrote the list.
    """

    def __init__(
        self,
        store: StudyStore,
        compose: Compose,
        overrides: Callable[[Mapping[str, str]], list[str]],
        skips_invalid: bool,
        is_adaptive: bool,
        is_read_only: bool = False,
        is_side_by_side: bool = False,
    ) -> None:
        """Read what is known.

        Args:
            store: The study, its parent open.
            compose: See `Compose`.
            overrides: All overrides of a trial, from its swept values.
            skips_invalid: See above.
            is_adaptive: Whether the search learns, so that the order of its questions counts.
            is_read_only: Whether nothing is to be written: a plan.
            is_side_by_side: Whether trials that can train side by side are to do so.
        """
        self._is_adaptive = is_adaptive
        self._is_read_only = is_read_only
        self._is_side_by_side = is_side_by_side
        self._store = store
        self._compose = compose
        self._overrides = overrides
        self.skips_invalid = skips_invalid
        self._digests: dict[str, str] = {}
        trials = [trial for trial in store.trials() if not trial.runs_on_another_host]
        self._suggested = [trial for trial in trials if "sweep.asked" in trial.tags]
        self._records = {_key(trial): trial for trial in _best_last(trials)}
        self._numbers = {trial.number for trial in trials if trial.number is not None}
        self._entered: dict[tuple[str, str], Job] = {}
        self._keys: dict[int, tuple[str, str]] = {}
        self._drawn: set[tuple[str, str]] = set()
        self._configs: dict[int, Config] = {}
        self._released: set[Path | None] = set()
        self._asked = {
            int(trial.tags["sweep.suggestion"]): int(trial.tags["sweep.asked"])
            for trial in self._suggested
        }
        told = [int(trial.tags["sweep.told"]) for trial in trials if "sweep.told" in trial.tags]
        self._next_event = max([*self._asked.values(), *told], default=-1) + 1

    def events(self) -> list[tuple[str, int]]:
        """What former launches asked and told, in order, for `Loop.restore`."""
        last_asked = max(self._asked.values(), default=-1)
        places = set()
        for trial in self._suggested:
            index = int(trial.tags["sweep.suggestion"])
            places.add((int(trial.tags["sweep.asked"]), "asked", index))
            told = int(trial.tags.get("sweep.told", -1))
            # A failure that nothing has been asked after can still be mended.
            if told > -1 and (told < last_asked or not outcome_of(trial).has_failed):
                places.add((told, "told", index))
        return [(what, index) for _, what, index in sorted(places)]

    def config(self, job: Job) -> Config | None:
        """The configuration of a job; None where it was refused."""
        return self._configs.get(job.number)

    def values(self) -> dict[int, dict[str, str]]:
        """The values of each former suggestion by its index."""
        return {
            int(trial.tags["sweep.suggestion"]): json.loads(trial.tags["sweep.values"])
            for trial in self._suggested
        }

    def running_elsewhere(self) -> list[str]:
        """Runs of entered trials that another process of this host is still at."""
        return [
            self._records[key].run_id
            for key in self._entered
            if key in self._records and self._records[key].process is not None
        ]

    def enter(self, suggestion: Suggestion, replicate: int, promoted: Job | None) -> Job:
        """See `Book`. A configuration that was entered before becomes a replicate.

        Raises:
            UsageError: If the configuration is refused, unless `skips_invalid`.
        """
        if suggestion.index not in self._asked:  # its replicates share one place
            self._asked[suggestion.index] = self._event()
        overrides = self._overrides(suggestion.values)
        if suggestion.epochs is not None:
            overrides.append(f"fit.fidelity={suggestion.epochs}")
        try:
            config = self._compose(overrides)
        except UsageError as error:
            if not self.skips_invalid:
                raise
            return self._enter_invalid(suggestion, replicate, overrides, str(error))
        base_seed, digest = config.seed, self.digest(config)
        if promoted is not None:
            replicate = promoted.replicate
        else:  # whatever its fidelity, a draw that came before comes under the next free seed
            while (_lineage(config, base_seed + replicate), digest) in self._drawn:
                replicate += 1
            self._drawn.add((_lineage(config, base_seed + replicate), digest))
        keeps_state = config.fit.keep_state or suggestion.epochs is not None
        seeded = dataclasses.replace(
            config,
            seed=base_seed + replicate,
            fit=dataclasses.replace(config.fit, keep_state=keeps_state),
        )
        key = (configuration_hash(seeded), digest)
        if suggestion.epochs is not None:
            overrides.append("fit.keep_state=true")
        if replicate:
            overrides.append(f"seed={seeded.seed}")
        spent = self._configs[promoted.number].fit.fidelity or 0 if promoted else 0
        number = self._number(key, seeded.study.trial)
        seeded = dataclasses.replace(seeded, study=dataclasses.replace(seeded.study, trial=number))
        job = Job(
            number, suggestion, replicate, tuple(overrides),
            epochs=(seeded.fit.fidelity or seeded.fit.epochs) - spent,
            title=_title(suggestion, seeded, replicate),
            program=program(seeded),
            group=stack_group(seeded) if self._is_side_by_side else None,
        )  # fmt: skip
        self._entered[key] = job
        self._keys[number] = key
        self._configs[number] = seeded
        record = self._records.get(key)
        if record is not None:
            self._adopt(record, job)
            # One whose artifacts could not be stored stores them, without training.
            is_ended = record.state in _ENDED and (
                self._is_adaptive or names.ARTIFACT_FAILURE not in record.tags
            )
            job.outcome = outcome_of(record) if is_ended else None
        return job

    def start(self, job: Job) -> list[str]:
        """See `Book`: opens the trial's run, or finds it."""
        key = self._keys[job.number]
        if key not in self._records:
            group = [each for each in self._entered.values() if each.group is not None
                     and each.group == job.group and each.outcome is None] or [job]  # fmt: skip
            self._make_runs(
                [each for each in group if self._keys[each.number] not in self._records]
            )
        run_id = self._records[key].run_id
        config = self._configs[job.number]
        study = dataclasses.replace(config.study, run_id=run_id)
        job.config = dataclasses.replace(config, study=study)
        return [*job.overrides, f"study.trial={job.number}", f"study.run_id={run_id}"]

    def _make_runs(self, jobs: Sequence[Job]) -> None:
        """Runs for trials that have none, all at once."""
        titles = [run_name(self._configs[job.number]) for job in jobs]
        run_ids = self._store.create_trials(list(zip(titles, map(self._tags, jobs), strict=True)))
        for job, run_id in zip(jobs, run_ids, strict=True):
            self._records[self._keys[job.number]] = self._store.trial(run_id)

    def settle(self, job: Job, ending: Ending) -> Outcome:
        """See `Book`: what the store says, now that the trial's process has ended."""
        key = self._keys[job.number]
        run_id = self._records[key].run_id
        record = self._store.trial(run_id)
        if record.state is State.RUNNING:
            self._store.mend()
            record = self._store.trial(run_id)
        could_not_close = record.state is State.RUNNING or (
            record.state is State.WAITING and not ending.is_interrupted
        )
        if could_not_close:
            self._store.fail(run_id, ending.failure, ending.details)
            record = self._store.trial(run_id)
        elif record.state is State.FAILED and "infeasible" not in record.tags:
            self._store.set_tags(run_id, {"failure": ending.failure[:5000]})
            record = self._store.trial(run_id)
        self._records[key] = record
        return outcome_of(record)

    def told(self, jobs: Sequence[Job]) -> None:
        """See `Book`."""
        if self._is_read_only:
            return
        place = self._event()
        for job in jobs:
            record = self._records[self._keys[job.number]]
            self._store.set_tags(record.run_id, {"sweep.told": str(place)})

    def release(self, keep: Sequence[Job]) -> None:
        """See `Book`."""
        if self._is_read_only:
            return
        gone = self._released | {self._folder(job) for job in keep}
        for job in self._entered.values():
            folder = self._folder(job)
            if folder is not None and folder not in gone:
                self._released.add(folder)
                forget(folder)

    def _folder(self, job: Job) -> Path | None:
        """Where its state stays; trials of one configuration share it, whatever their fidelity."""
        config = self._configs.get(job.number)
        if config is None or config.fit.fidelity is None:
            return None
        return checkpoint_folder(config, self.digest(config))

    def _enter_invalid(
        self, suggestion: Suggestion, replicate: int, overrides: list[str], reason: str
    ) -> Job:
        text = "\n".join([*overrides, str(suggestion.index), str(replicate)])
        key = ("invalid-" + hashlib.sha256(text.encode()).hexdigest()[:12], "")
        job = Job(self._number(key, None), suggestion, replicate, tuple(overrides),
                  title=" ".join(f"{k}={v}" for k, v in suggestion.values.items()))  # fmt: skip
        self._entered[key] = job
        self._keys[job.number] = key
        if key not in self._records and self._is_read_only:
            job.outcome = Outcome(State.FAILED, infeasible=reason)
            return job
        if key not in self._records:
            tags = {**self._tags(job), "infeasible": reason[:5000], "configuration_hash": key[0]}
            run_id = self._store.create_trial(f"trial {job.number}", tags)
            self._store.fail(run_id, "", "")
            self._records[key] = self._store.trial(run_id)
        job.outcome = outcome_of(self._records[key])
        return job

    def _number(self, key: tuple[str, str], wanted: int | None) -> int:
        record = self._records.get(key)
        if record is not None and record.number is not None:
            return record.number
        if wanted is None or wanted in self._numbers:
            wanted = next(n for n in itertools.count(1) if n not in self._numbers)
        self._numbers.add(wanted)
        return wanted

    def _adopt(self, record: TrialRecord, job: Job) -> None:
        if self._is_read_only:
            return
        tags = {k: v for k, v in self._tags(job).items() if k not in record.tags}
        if "trial" in tags:  # it had no number, and was called by what it varied
            tags["mlflow.runName"] = run_name(self._configs[job.number])
        if tags or record.tags.get("mlflow.parentRunId") != self._store.parent_id:
            self._store.adopt(record.run_id, tags)

    def _tags(self, job: Job) -> dict[str, str]:
        suggestion = job.suggestion
        tags = {
            "trial": str(job.number),
            "sweep.replicate": str(job.replicate),
            "configuration": job.title[:5000],
        }
        if self._is_adaptive:
            tags |= {
                "sweep.suggestion": str(suggestion.index),
                "sweep.asked": str(self._asked[suggestion.index]),
                "sweep.values": json.dumps(dict(suggestion.values)),
            }
        if suggestion.promoted_from is not None:
            tags["sweep.promoted_from"] = str(suggestion.promoted_from)
        if suggestion.bracket is not None:
            tags |= {"sweep.bracket": str(suggestion.bracket), "sweep.rung": str(suggestion.rung)}
        config = self._configs.get(job.number)
        if config is not None:
            tags |= {
                "configuration_hash": configuration_hash(config),
                "data_digest": self.digest(config),
            }
        return tags

    def _event(self) -> int:
        self._next_event += 1
        return self._next_event - 1

    def digest(self, config: Config) -> str:
        """The data's digest; reading it also finds its mistakes, and fills the picture cache."""
        data = dataclasses.replace(config.data, batch_size=1)
        name = json.dumps([dataclasses.asdict(data), dataclasses.asdict(config.target)])
        if name not in self._digests:
            self._digests[name] = prepare(config.data, config.target).digest
        return self._digests[name]


def outcome_of(record: TrialRecord) -> Outcome:
    """A trial's record as the loop sees it."""
    return Outcome(
        state=record.state,
        val_mae=record.metrics.get("best/val_mae", math.inf),
        infeasible=record.tags.get("infeasible", ""),
        failure=record.tags.get("failure", "") if record.state is State.FAILED else "",
    )


def _lineage(config: Config, seed: int) -> str:
    """What a configuration is under a seed, whatever its fidelity."""
    fit = dataclasses.replace(config.fit, fidelity=None)
    return configuration_hash(dataclasses.replace(config, seed=seed, fit=fit))


def _key(trial: TrialRecord) -> tuple[str, str]:
    return trial.configuration_hash, trial.data_digest


def _best_last(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Where one configuration has several runs, the one to keep comes last.

    What a search was told stays what it was told.
    """
    rank = {State.COMPLETE: 3, State.PRUNED: 2, State.WAITING: 1, State.RUNNING: 1}
    return sorted(
        trials,
        key=lambda trial: (
            "sweep.told" in trial.tags, rank.get(trial.state, 0), trial.number is not None
        ),
    )  # fmt: skip


def _title(suggestion: Suggestion, config: Config, replicate: int) -> str:
    words = [f"{key.rpartition('.')[2]} {text}" for key, text in suggestion.values.items()]
    if replicate:
        words.append(f"seed {config.seed}")
    if suggestion.epochs is not None:
        words.append(f"{suggestion.epochs} epochs")
    return ", ".join(words)
