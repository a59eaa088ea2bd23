"""`hydra/launcher=processes`: jobs in their own processes, several at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from src.core.errors import UsageError


@dataclass
class ProcessLauncherConf:
    """Number of jobs at a time, and what each may use."""

    _target_: str = "hydra_plugins.process_launcher.launcher.ProcessLauncher"
    n_jobs: int = 1
    cores_per_job: int | None = None  # null: an equal share of the cores
    gpus: list[int] | None = None  # one for each job at a time, by CUDA_VISIBLE_DEVICES
    # A process runs the next trial of the same traced program too, which saves its start: half a
    # minute for ResNet50 on a CPU. false: a new process for each trial, with the same numbers.
    warm: bool = True
    # Most heads on one frozen backbone that train stacked in a process. 1: each trial alone.
    max_stacked: int = 256


ConfigStore.instance().store(
    group="hydra/launcher",
    name="processes",
    node=ProcessLauncherConf,
    provider="process_launcher",
)


class ProcessLauncher(Launcher):
    """Imports `_processes` when there is something to launch.

    Args:
        settings: The fields of `ProcessLauncherConf`. In a batch of Hydra's jobs each one has its
            own process; `warm` and `max_stacked` are for a sweeper that knows what jobs share.

    Attributes:
        folder: Of the launch; each job has a folder in it, named by its number.
    """

    folder: Path
    hydra_context: HydraContext
    task_function: TaskFunction
    config: DictConfig

    def __init__(self, **settings: Any) -> None:
        self.settings = ProcessLauncherConf(**settings)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps what Hydra passes.

        Raises:
            UsageError: If a number of jobs or cores is below 1.
        """
        for name in ("n_jobs", "cores_per_job", "max_stacked"):
            value = getattr(self.settings, name)
            if value is not None and value < 1:
                raise UsageError(
                    f"`hydra.launcher.{name}` must be >= 1. Received: {value}. "
                    f"Fix: hydra.launcher.{name}=1"
                )
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config
        self.folder = Path(str(config.hydra.sweep.dir))

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Runs a batch and returns its results in order."""
        from hydra_plugins.process_launcher import _processes

        return _processes.launch(self, job_overrides, initial_job_idx)
