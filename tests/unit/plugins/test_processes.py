"""Processes that run one job after another, with tasks of a millisecond."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus
from hydra.types import HydraContext, RunMode
from hydra_plugins.process_launcher._processes import Processes, launch
from hydra_plugins.process_launcher.launcher import ProcessLauncher
from omegaconf import DictConfig

from src.core.errors import UsageError
from src.search.loop import Ending

ROOT = Path(__file__).parents[3]
CONFIG = """
defaults:
  - override hydra/launcher: processes
what: nothing
hydra:
  sweep: {dir: jobs, subdir: "${hydra.job.num}"}
  job: {chdir: false, env_set: {WHAT: set for all}}
"""


def task(what: str) -> dict[str, Any]:
    """Do what the job says, and describe the process."""
    os.write(2, f"written by {what}\n".encode())
    print(f"printed by {what}")
    match what:
        case "fail":
            raise ValueError("no luck")
        case "mistake":
            raise UsageError("Something typed is wrong")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            sys.exit(3)
        case "wander":
            os.chdir("/")
        case "sleep":
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            print("sleeping", flush=True)
            time.sleep(60)
    return {
        "pid": os.getpid(),
        "cwd": Path.cwd(),
        "what": os.environ.get("WHAT"),
        "cores": sorted(os.sched_getaffinity(0)),
        "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }


def hydra_task(config: DictConfig) -> dict[str, Any]:
    """The same as a task of Hydra's."""
    return task(str(config.what)) | {"number": HydraConfig.get().job.num}


@contextmanager
def made_launcher(n_jobs: int = 1, gpus: list[int] | None = None) -> Iterator[ProcessLauncher]:
    """A launcher of Hydra's task, in the working directory."""
    Path("conf").mkdir()
    Path("conf/config.yaml").write_text(CONFIG)
    with initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        config = hydra.compose_config("config", [], RunMode.MULTIRUN)
        HydraConfig.instance().set_config(config)
        launcher = ProcessLauncher(n_jobs=n_jobs, gpus=gpus)
        context = HydraContext(hydra.config_loader, Callbacks(config))
        launcher.setup(hydra_context=context, task_function=hydra_task, config=config)
        yield launcher


@pytest.fixture
def processes(in_tmp_path: Path) -> Iterator[Callable[..., Processes]]:
    """Processes for the task; none outlives its test."""
    with ExitStack() as stack:

        def started(*arguments: Any) -> Processes:
            processes = Processes(stack.enter_context(made_launcher(*arguments)))
            stack.callback(processes.stop)
            return processes

        yield started
        stack.close()
        assert not workers()


def workers(of: int | None = None) -> list[psutil.Process]:
    """Living worker processes of this process, or of another."""
    children = psutil.Process(of).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def run(processes: Processes, number: int, what: str = "nothing", program: Any = None) -> Ending:
    processes.start([number], task, [what], program)
    ((_, ended),) = processes.wait()
    return ended


def pid(ended: Ending) -> int:
    assert not ended.failure, ended.details
    return ended.value["pid"]


def log(number: int) -> str:
    return Path("jobs", str(number), "output.log").read_text()


def test_jobs_of_one_program_share_a_process_and_others_have_their_own(processes) -> None:
    one = processes()
    first, second = (pid(run(one, number, program="a")) for number in (1, 2))
    assert first == second
    other = pid(run(one, 3, program="b"))
    assert other != first
    assert not psutil.pid_exists(first)  # two models would not fit
    assert pid(run(one, 4, program="a")) != first


def test_job_without_a_program_has_a_process_that_ends_with_it(processes) -> None:
    one = processes()
    pids = {pid(run(one, number)) for number in (1, 2)}
    assert len(pids) == 2
    assert not workers()


def test_process_of_the_same_program_is_preferred_to_a_free_slot(processes) -> None:
    two = processes(2)
    for number, program in ((1, "a"), (2, "b")):
        two.start([number], task, ["nothing"], program)
    ended: dict[int, Ending] = {}
    while len(ended) < 2:
        ended |= dict(two.wait())
    a, b = pid(ended[1]), pid(ended[2])
    assert pid(run(two, 3, program="b")) == b
    assert pid(run(two, 4, program="a")) == a
    assert len(workers()) == 2
    assert pid(run(two, 5, program="c")) not in (a, b)
    assert len(workers()) == 2  # one has made room


def test_directory_of_a_job_is_not_that_of_the_next(processes) -> None:
    one = processes()
    found = [
        run(one, number, what, program="a").value
        for number, what in enumerate(("first", "wander", "third"), start=1)
    ]
    assert len({each["pid"] for each in found}) == 1
    assert [each["cwd"] for each in found] == [Path.cwd(), Path("/"), Path.cwd()]
    assert {each["what"] for each in found} == {"set for all"}


def test_each_job_prints_into_its_own_log(processes) -> None:
    one = processes()
    for number in (1, 2, 3):
        run(one, number, f"w{number}", program="a")
        for how in ("printed", "written"):
            assert f"{how} by w{number}" in log(number)
        assert log(number).count(" by w") == 2


def test_jobs_of_one_call_share_its_log(processes) -> None:
    one = processes()
    one.start([1, 2, 3], task, ["together"])
    assert [number for number, _ in one.wait()] == [1]
    assert {log(number) for number in (1, 2, 3)} == {log(1)}
    run(one, 2, "alone")
    assert "alone" in log(2)
    assert "alone" not in log(1)


def test_share_of_the_machine_belongs_to_the_slot(processes) -> None:
    two = processes(2, [5, 7])
    found = []
    for number in (1, 3):  # two at a time
        two.start([number], task, ["nothing"], "a")
        two.start([number + 1], task, ["nothing"], "a")
        while len(found) < number + 1:
            found += [ended.value for _, ended in two.wait()]
    shares = {(one["pid"], one["gpu"], tuple(one["cores"])) for one in found}
    assert len(shares) == 2  # the second two found what the first had left
    assert {gpu for _, gpu, _ in shares} == {"5", "7"}


def test_failed_job_says_why_and_ends_its_process(processes) -> None:
    one = processes()
    first = pid(run(one, 1, program="a"))
    failed = run(one, 2, "fail", program="a")
    assert failed.failure == "ValueError: no luck"
    assert "Traceback" in failed.details
    assert not failed.is_lost
    assert not psutil.pid_exists(first)
    assert pid(run(one, 3, program="a")) != first


def test_mistake_of_a_person_has_no_traceback(processes) -> None:
    failed = run(processes(), 1, "mistake")
    assert failed.failure == "Something typed is wrong"
    assert "error: Something typed is wrong" in failed.details
    assert "Traceback" not in failed.details


@pytest.mark.parametrize(
    ("what", "reason"), [("kill", "SIGKILL; the machine may have run"), ("exit", "status 3 (see")]
)
def test_lost_process_is_one_lost_job(processes, what: str, reason: str) -> None:
    one = processes()
    run(one, 1, program="a")
    lost = run(one, 2, what, program="a")
    assert lost.is_lost
    assert reason in lost.failure
    assert f"printed by {what}" in lost.details or what == "kill"
    assert not run(one, 3, program="a").failure


def test_process_that_dies_while_it_waits_is_replaced(processes) -> None:
    one = processes()
    first = pid(run(one, 1, program="a"))
    os.kill(first, signal.SIGTERM)
    with contextlib.suppress(psutil.NoSuchProcess):  # multiprocessing may have reaped it
        while psutil.Process(first).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.05)
    assert pid(run(one, 2, program="a")) != first


def test_stop_reaches_the_job_and_ends_every_process(processes) -> None:
    two = processes(2)
    first = pid(run(two, 1, program="a"))
    two.start([2], task, ["sleep"], "a")
    two.start([3], task, ["sleep"], "b")
    logs = [Path("jobs", number, "output.log") for number in "23"]
    while not all(each.exists() and "sleeping" in each.read_text() for each in logs):
        assert not two.wait(0.1)
    stopped = dict(two.stop())
    assert sorted(stopped) == [2, 3]
    assert all(ended.is_interrupted and not ended.failure for ended in stopped.values())
    assert not psutil.pid_exists(first)
    assert not workers()


def test_batch_has_a_process_for_each_job_and_leaves_none(in_tmp_path, capsys, monkeypatch) -> None:
    # Hydra closes all log handlers, and absl's closes pytest's standard error with itself.
    monkeypatch.setattr("absl.logging.PythonHandler.close", lambda self: None)
    with made_launcher(2) as launcher:
        results = launch(launcher, [["what=nothing"], ["what=fail"], ["what=nothing"]], 0)
    statuses = [result.status for result in results]
    assert statuses == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED]
    assert results[0].return_value["pid"] != results[2].return_value["pid"]
    assert [results[number].return_value["number"] for number in (0, 2)] == [0, 2]
    with pytest.raises(ValueError, match="no luck"):
        _ = results[1].return_value
    assert not workers()


PARENT = """
import sys
from tests.unit.plugins.test_processes import Processes, made_launcher, run, task
if __name__ == "__main__":
    with made_launcher(2) as launcher:
        processes = Processes(launcher)
        run(processes, 1, program="a")
        processes.start([2], task, ["sleep"], "b")
        print("ready", flush=True)
        processes.wait()
"""


def test_no_process_outlives_a_parent_that_is_killed(in_tmp_path) -> None:
    Path("parent.py").write_text(PARENT)
    path = os.pathsep.join([str(ROOT), str(ROOT / "src/plugins")])
    with subprocess.Popen(
        [sys.executable, "parent.py"], env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        assert parent.stdout.readline() == "ready\n"
        orphans = workers(parent.pid)
        assert len(orphans) == 2  # one waits, one is at work
        parent.kill()
    _, alive = psutil.wait_procs(orphans, timeout=20)
    assert not alive
