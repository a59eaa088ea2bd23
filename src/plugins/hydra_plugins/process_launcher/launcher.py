"""`hydra/launcher=processes`: jobs in processes of their own, so many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from src.core.errors import UsageError


@dataclass
class ProcessLauncherConf:
    """How many jobs at a time, and what each may use."""

    _target_: str = "hydra_plugins.process_launcher.launcher.ProcessLauncher"
    n_jobs: int = 1
    cores_per_job: int | None = None  # null: an equal share of the cores
    gpus: list[int] | None = None  # one for each job at a time, by CUDA_VISIBLE_DEVICES
    # A process stays for the next trial of the same traced program, which spares its start: half a
    # minute of ResNet50's on a CPU. false: a new process for each trial, to the same numbers.
    warm: bool = True
    # Trials that differ in nothing before a frozen backbone's end train in one program, up to so
    # many in a process, to the same errors as alone. 1: each alone.
    side_by_side: int = 256


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
        warm: Whether a process may run one job after another. It is for a sweeper that knows
            which jobs share a program; a batch has a process for each job.
        side_by_side: Most jobs in one process at a time, for such a sweeper.
    """

    def __init__(
        self,
        n_jobs: int,
        cores_per_job: int | None,
        gpus: list[int] | None,
        warm: bool = True,
        side_by_side: int = 1,
    ) -> None:
        self.n_jobs = n_jobs
        self.cores_per_job = cores_per_job
        self.gpus = list(gpus) if gpus else None
        self.warm = warm
        self.side_by_side = side_by_side
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
        for name in ("n_jobs", "cores_per_job", "side_by_side"):
            value = getattr(self, name)
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
