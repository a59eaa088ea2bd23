"""Processes that run one job after another, with tasks of a millisecond."""

import logging
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
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from hydra_plugins.process_launcher._core import Exit, Processes, launch
from hydra_plugins.process_launcher._worker import INTERRUPTED
from hydra_plugins.process_launcher.launcher import ProcessLauncher
from omegaconf import DictConfig

ROOT = Path(__file__).parents[3]
CONFIG = """
defaults:
  - override hydra/launcher: processes
what: nothing
hydra:
  sweep: {dir: jobs, subdir: "${hydra.job.num}"}
  job: {chdir: false}
"""


def task(config: DictConfig) -> dict[str, Any]:
    """Do what the job says, and tell about the process."""
    state = {
        "pid": os.getpid(),
        "folder": Path(HydraConfig.get().runtime.output_dir).name,
        "cwd": Path.cwd(),
        "number": HydraConfig.get().job.num,
        "what": os.environ.get("WHAT"),
        "num_handlers": len(logging.getLogger().handlers) + len(logging._handlerList),
        "launchers": [id(found) for found in Plugins.instance().discover(Launcher)],
        "cores": sorted(os.sched_getaffinity(0)),
        "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
    os.write(2, f"written by {config.what}\n".encode())
    logging.getLogger("job").info("logged by %s", config.what)
    print(f"printed by {config.what}")
    match str(config.what):
        case "fail":
            raise ValueError("no luck")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            sys.exit(3)
        case "wander":
            os.chdir("/")
        case "sleep":
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            time.sleep(60)
    return state


@contextmanager
def made_launcher(n_jobs: int = 1, gpus: list[int] | None = None) -> Iterator[ProcessLauncher]:
    """A launcher of the task, in the working directory."""
    Path("conf").mkdir()
    Path("conf/config.yaml").write_text(CONFIG)
    with initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        config = hydra.compose_config("config", [], RunMode.MULTIRUN)
        HydraConfig.instance().set_config(config)
        launcher = ProcessLauncher(n_jobs, None, gpus)
        context = HydraContext(hydra.config_loader, Callbacks(config))
        launcher.setup(hydra_context=context, task_function=task, config=config)
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


def run(processes: Processes, number: int, what: str = "nothing", program: Any = None) -> Exit:
    processes.start(number, [f"what={what}", f"++hydra.job.env_set.WHAT={what}"], program)
    (ended,) = processes.wait()
    return ended


def pid(ended: Exit) -> int:
    assert ended.job_return is not None, ended.log.read_text()
    return ended.job_return.return_value["pid"]


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
        two.start(number, ["what=nothing"], program)
    ended: dict[int, Exit] = {}
    while len(ended) < 2:
        ended |= {one.number: one for one in two.wait()}
    a, b = pid(ended[1]), pid(ended[2])
    assert pid(run(two, 3, program="b")) == b
    assert pid(run(two, 4, program="a")) == a
    assert len(workers()) == 2
    assert pid(run(two, 5, program="c")) not in (a, b)
    assert len(workers()) == 2  # one has made room


def test_nothing_of_a_job_is_left_for_the_next(processes) -> None:
    one = processes()
    found = [
        run(one, number, what, program="a").job_return.return_value
        for number, what in enumerate(("first", "wander", "third"), start=1)
    ]
    assert len({each["pid"] for each in found}) == 1
    assert [each["number"] for each in found] == [1, 2, 3]
    assert [each["folder"] for each in found] == ["1", "2", "3"]
    assert [each["what"] for each in found] == ["first", "wander", "third"]
    assert {each["cwd"] for each in found} == {Path.cwd()}
    assert len({each["num_handlers"] for each in found}) == 1
    assert found[0]["launchers"] == found[2]["launchers"]


def test_each_job_prints_into_its_own_log(processes) -> None:
    one = processes()
    logs = [run(one, number, f"w{number}", program="a").log.read_text() for number in (1, 2, 3)]
    for number, log in enumerate(logs, start=1):
        for how in ("printed", "written", "logged"):
            assert f"{how} by w{number}" in log
        assert log.count(" by w") == 3


def test_share_of_the_machine_belongs_to_the_slot(processes) -> None:
    two = processes(2, [5, 7])
    found = []
    for number in (1, 3):  # two at a time
        two.start(number, ["what=nothing"], "a")
        two.start(number + 1, ["what=nothing"], "a")
        while len(found) < number + 1:
            found += [ended.job_return.return_value for ended in two.wait()]
    shares = {(one["pid"], one["gpu"], tuple(one["cores"])) for one in found}
    assert len(shares) == 2  # the second two found what the first had left
    assert {gpu for _, gpu, _ in shares} == {"5", "7"}


def test_failed_job_tells_why_and_ends_its_process(processes) -> None:
    one = processes()
    first = pid(run(one, 1, program="a"))
    failed = run(one, 2, "fail", program="a")
    assert failed.job_return.status is JobStatus.FAILED
    assert str(failed.job_return._return_value) == "no luck"
    assert not psutil.pid_exists(first)
    assert pid(run(one, 3, program="a")) != first


@pytest.mark.parametrize(("what", "exit_code"), [("kill", -signal.SIGKILL), ("exit", 3)])
def test_lost_process_is_one_lost_job(processes, what: str, exit_code: int) -> None:
    one = processes()
    run(one, 1, program="a")
    lost = run(one, 2, what, program="a")
    assert (lost.job_return, lost.exit_code) == (None, exit_code)
    assert run(one, 3, program="a").job_return.status is JobStatus.COMPLETED


def test_process_that_dies_while_it_waits_is_replaced(processes) -> None:
    one = processes()
    first = pid(run(one, 1, program="a"))
    os.kill(first, signal.SIGTERM)
    while psutil.Process(first).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    assert pid(run(one, 2, program="a")) != first


def test_stop_reaches_the_job_and_ends_every_process(processes) -> None:
    two = processes(2)
    first = pid(run(two, 1, program="a"))
    two.start(2, ["what=sleep"], "a")
    two.start(3, ["what=sleep"], "b")
    logs = [Path("jobs", number, "output.log") for number in "23"]
    while not all(log.exists() and "logged by sleep" in log.read_text() for log in logs):
        assert not two.wait(0.1)
    stopped = two.stop()
    assert sorted(one.number for one in stopped) == [2, 3]
    assert {one.job_return for one in stopped} == {None}
    assert {one.exit_code for one in stopped} == {INTERRUPTED}
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
    assert not workers()


PARENT = """
import sys
from tests.unit.plugins.test_processes import Processes, made_launcher, run
if __name__ == "__main__":
    with made_launcher(2) as launcher:
        processes = Processes(launcher)
        run(processes, 1, program="a")
        processes.start(2, ["what=sleep"], "b")
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
