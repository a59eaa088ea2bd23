"""Record of a trial."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from src.core.errors import UsageError
from src.core.names import INFEASIBLE, PROCESS_HOST, State


@dataclass(frozen=True)
class TrialRecord:
    """Contents of the store about a trial.

    Attributes:
        run_id: MLflow's.
        number: Within its study, from 1; None for a trial that was never given one.
        name: The run's name.
        state: See `State`.
        configuration_hash: See `src.config.configuration_hash`.
        data_digest: See `src.data.Dataset.digest`.
        tags: All tags of the run.
        params: Its hyperparameters as text.
        metrics: The last value of each metric.
        seconds: What it took, without pauses; None while that is not known.
        process: Id of the process that runs it; None where none does, or on another host.
        artifact_uri: Where its files lie.
    """

    run_id: str
    number: int | None
    name: str
    state: State
    configuration_hash: str
    data_digest: str
    tags: Mapping[str, str] = field(repr=False)
    params: Mapping[str, str] = field(repr=False)
    metrics: Mapping[str, float] = field(repr=False)
    seconds: float | None
    process: int | None
    artifact_uri: str = ""

    @property
    def outcome(self) -> str:
        """Its state, or INFEASIBLE where its configuration could not be evaluated."""
        return "INFEASIBLE" if INFEASIBLE in self.tags else str(self.state)

    @property
    def runs_on_another_host(self) -> bool:
        """Returns whether it may still run on a host that this process cannot see."""
        host = self.tags.get(PROCESS_HOST, socket.gethostname())
        return self.state is State.RUNNING and host != socket.gethostname()


def numbered(trials: Sequence[TrialRecord], study: str, number: int) -> TrialRecord:
    """Returns the trial with this number: of several the last complete one, else the last.

    Raises:
        UsageError: If the study has no such trial.
    """
    found = [trial for trial in trials if trial.number == number]
    if found:
        return ([each for each in found if each.state is State.COMPLETE] or found)[-1]
    known = sorted(trial.number for trial in trials if trial.number is not None)
    has = f"it has {len(known)}, numbered {known[0]}–{known[-1]}" if known else "it has none"
    raise UsageError(
        f'Trial {number} is not in study "{study}" ({has}). Received: TRIAL={number}. '
        f'Fix: `make trials STUDY="{study}"` lists them'
    )
