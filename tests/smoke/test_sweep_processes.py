"""Trials in processes of their own: killed, interrupted, side by side, many of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from mlflow.artifacts import download_artifacts
from mlflow.tracking import MlflowClient

from src.core.names import State
from src.records.trial import TrialRecord
from src.tracking.study import StudyStore
from tests.smoke.test_killed_sweep import SMALL

pytestmark = pytest.mark.slow


@pytest.fixture
def start(tmp_path, environment, monkeypatch) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a sweep of a small network's trials."""
    monkeypatch.chdir(tmp_path)
    processes = []

    def started(*arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "src.train", "-m", *SMALL, *arguments],
            env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            # Tests that run side by side ignore SIGINT, and their children would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def trials(study: str = "small") -> list[TrialRecord]:
    return StudyStore("face-age", study).trials()


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def children(process: subprocess.Popen) -> list[psutil.Process]:
    """The living processes of its trials."""

    def is_trial(child: psutil.Process) -> bool:
        try:
            return "spawn_main" in " ".join(child.cmdline())
        except psutil.Error:  # a zombie
            return False

    return [child for child in psutil.Process(process.pid).children() if is_trial(child)]


def logs(text: str) -> Callable[[], list[Path]]:
    """Returns a function that lists the logs of trials that contain a text."""
    return lambda: [log for log in Path("mlruns").rglob("output.log") if text in log.read_text()]


def test_trial_that_loses_its_process_continues_in_another(start) -> None:
    process = start("optimizer.learning_rate=1e-2,1e-3", "fit.epochs=60")
    wait_for(logs("epoch  3/60"))
    children(process)[0].send_signal(signal.SIGKILL)  # as the kernel does when memory runs out
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert [trial.state for trial in trials()] == [State.COMPLETE, State.COMPLETE]
    assert logs("Resuming after epoch")()


def test_trial_that_loses_every_process_fails_and_spares_the_others(start) -> None:
    process = start("optimizer.learning_rate=1e-2,1e-3", "fit.epochs=60")
    killed: list[int] = []
    while len(killed) < 2:  # the first time, and when it is tried again
        wait_for(lambda: [one for one in children(process) if one.pid not in killed])
        victim = next(one for one in children(process) if one.pid not in killed)
        time.sleep(1)
        victim.kill()
        killed.append(victim.pid)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "SIGKILL; the machine may have run out of memory" in out
    states = {trial.state for trial in trials()}
    assert states == {State.FAILED, State.COMPLETE}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_sweep_saves_and_the_same_command_continues_it(start, number) -> None:
    command = ["optimizer.learning_rate=1e-2,1e-3,3e-3", "fit.epochs=40",
               "hydra.launcher.n_jobs=2"]  # fmt: skip
    process = start(*command)
    wait_for(logs("epoch  2/40"))  # the other process may be far behind
    process.send_signal(number)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "The same command continues where this one stopped." in out
    assert "Traceback" not in out
    states = [trial.state for trial in trials()]
    assert set(states) <= {State.WAITING, State.COMPLETE}
    assert State.WAITING in states
    num_begun = len(logs("epoch  1/40")()) - states.count(State.COMPLETE)
    again = start(*command)
    out, _ = again.communicate(timeout=300)
    assert again.returncode == 0, out
    assert [trial.state for trial in trials()] == [State.COMPLETE] * 3
    assert len(logs("Resuming after epoch")()) == num_begun > 0


def test_two_sweeps_at_once_on_one_store(start) -> None:
    one = start("optimizer.learning_rate=1e-2,1e-3")
    other = start("optimizer.learning_rate=1e-2,1e-3", "study.name=other")
    same = start("optimizer.learning_rate=1e-2,1e-3")
    for process in (one, other, same):
        process.out, _ = process.communicate(timeout=300)
    refused = [process for process in (one, same) if process.returncode == 1]
    assert len(refused) == 1
    assert "Another process is running this study" in refused[0].out
    assert other.returncode == 0, other.out
    for study in ("small", "other"):
        assert [trial.state for trial in trials(study)] == [State.COMPLETE] * 2


def test_joblib_launcher_works_as_well(start) -> None:
    process = start("optimizer.learning_rate=1e-2,1e-3", "hydra/launcher=joblib",
                    "hydra.launcher.n_jobs=2")  # fmt: skip
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert [trial.state for trial in trials()] == [State.COMPLETE] * 2


def test_each_job_gets_its_share_of_cores_and_its_gpu(start) -> None:
    cores = len(os.sched_getaffinity(0))
    process = start("optimizer.learning_rate=1e-2,1e-3", "fit.epochs=1",
                    "hydra.launcher.n_jobs=2", "hydra.launcher.gpus=[5,7]")  # fmt: skip
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    machines = [
        json.loads(Path(download_artifacts(run_id=trial.run_id,
                                           artifact_path="provenance/machine.json")).read_text())
        for trial in trials()
    ]  # fmt: skip
    assert {machine["cpu_cores"] for machine in machines} == {max(1, cores // 2)}
    assert {machine["cuda_visible_devices"] for machine in machines} == {"5", "7"}


def test_trial_that_another_process_terminates_continues(start) -> None:
    process = start("optimizer.learning_rate=1e-2,1e-3", "fit.epochs=60")
    wait_for(logs("epoch  3/60"))
    children(process)[0].terminate()
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert [trial.state for trial in trials()] == [State.COMPLETE, State.COMPLETE]


def test_plan_predicts_what_is_to_run_and_the_run_is_compared_with_it(start) -> None:
    sweep = ["optimizer.learning_rate=1e-2,1e-3", "data.batch_size=8,16"]
    plan = [*sweep, "hydra.sweeper.mode=plan"]
    out, _ = start(*plan).communicate(timeout=300)
    assert "4 trials and 16 epochs are to run, 0 trials are done." in out
    assert "Timing shape 2 of 2" in out
    assert "batch_size 8" in out
    assert not MlflowClient().search_runs(["1"])
    out, _ = start(*sweep).communicate(timeout=300)
    assert "Planned: " in out
    (parent,) = MlflowClient().search_runs(["1"], "tags.kind = 'study'")
    assert parent.data.metrics["plan/predicted_seconds"] > 0
    assert parent.data.metrics["plan/actual_seconds"] > 0
    out, _ = start(*plan).communicate(timeout=300)
    assert "0 trials and 0 epochs are to run, 4 trials are done." in out


def test_memory_does_not_grow_over_twenty_trials(start) -> None:
    process = start("seed=range(0,20)", "fit.epochs=1", "hydra.launcher.n_jobs=2")
    own = psutil.Process(process.pid)
    by_trial: dict[int, float] = {}
    while process.poll() is None:
        by_trial[len(logs("Validation MAE")())] = own.memory_info().rss if own.is_running() else 0
        time.sleep(0.5)
    assert process.returncode == 0, process.communicate()[0]
    peaks = [trial.metrics["memory/peak_gib"] for trial in trials()]
    assert len(peaks) == 20
    assert max(peaks[10:]) < 1.1 * max(peaks[:10])
    early = by_trial[min(number for number in by_trial if number >= 2)]
    late = by_trial[max(number for number in by_trial if number < 20)]
    assert late < early + 50e6  # bytes: the sweep's own process
