"""`hydra/launcher=processes`: each job in a process of its own, so many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from src.errors import UsageError


@dataclass
class ProcessLauncherConf:
    """How many jobs at a time, and what each may use."""

    _target_: str = "hydra_plugins.process_launcher.launcher.ProcessLauncher"
    n_jobs: int = 1
    cores_per_job: int | None = None  # null: an equal share of the cores
    gpus: list[int] | None = None  # one for each job at a time, by CUDA_VISIBLE_DEVICES


ConfigStore.instance().store(
    group="hydra/launcher",
    name="processes",
    node=ProcessLauncherConf,
    provider="process_launcher",
)


class ProcessLauncher(Launcher):
    """Hands over to `_core`, which is imported when there is something to launch.

    Attributes:
        n_jobs: Jobs at a time.
        cores_per_job: Processor cores that each may use; None for an equal share.
        gpus: Numbers of the GPUs to deal out, or None.
    """

    def __init__(self, n_jobs: int, cores_per_job: int | None, gpus: list[int] | None) -> None:
        self.n_jobs = n_jobs
        self.cores_per_job = cores_per_job
        self.gpus = list(gpus) if gpus else None
        self.hydra_context: HydraContext | None = None
        self.task_function: TaskFunction | None = None
        self.config: DictConfig | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's hook.

        Raises:
            ValueError: If there is to be less than one job, or core.
        """
        for name, value in (("n_jobs", self.n_jobs), ("cores_per_job", self.cores_per_job)):
            if value is not None and value < 1:
                raise UsageError(
                    f"`hydra.launcher.{name}` must be >= 1. Received: {value}. "
                    f"Fix: hydra.launcher.{name}=1"
                )
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a batch and wait for all of it; results come in the batch's order."""
        from hydra_plugins.process_launcher import _core

        return _core.launch(self, job_overrides, initial_job_idx)
