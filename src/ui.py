"""Open MLflow's page on this machine: `python -m src.ui [<study>]`."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence

from src.cli.options import add_experiment_option
from src.core.errors import EnvironmentFaultError, ExplainedError
from src.core.signals import TERMINATION, handled, raise_interrupt

_HOST = "127.0.0.1"  # the page has no login
# One process instead of fourteen, ready in half the time, and nothing is sent to anyone.
_LIGHT = {
    "MLFLOW_WORKERS": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Show what was asked for on the command line, until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m src.ui",
        description="Start MLflow's page and open it: a study's charts, or all runs.",
        epilog='example: python -m src.ui "seed"',
    )
    parser.add_argument("study", nargs="?", help="name of a study")
    parser.add_argument("--port", type=int, default=5000, help="(default: %(default)s)")
    add_experiment_option(parser)
    chosen = parser.parse_args(arguments)
    try:
        _refuse_busy_port(chosen.port)
        link = _link(chosen.experiment, chosen.study, f"http://{_HOST}:{chosen.port}")
        _serve(chosen.port, link)
    except ExplainedError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print()  # what comes next does not begin behind the terminal's ^C


def _refuse_busy_port(port: int) -> None:
    with socket.socket() as probe:
        # As the server binds it: connections that have just ended are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except (OSError, OverflowError) as error:
            raise EnvironmentFaultError(
                f"The port cannot be used: {error}. Received: --port {port}. "
                f"Fix: open http://{_HOST}:{port} if MLflow runs there already, or "
                "python -m src.ui --port 5001"
            ) from error


def _link(experiment: str, study: str | None, page: str) -> str:
    from src.records import tables
    from src.tracking.links import experiment_link
    from src.tracking.lookup import find_experiment, find_study
    from src.tracking.views import save_views, study_links

    if study is None:
        return experiment_link(find_experiment(experiment), page)
    store = find_study(experiment, study)
    trials = store.trials()  # a study of single trials has no views yet
    varied, axes = tables.varied_keys(trials), tables.axis_keys(trials)
    save_views(store.experiment_id, study, varied, axes, store.terms())
    return study_links(store.experiment_id, study, page).charts


def _serve(port: int, link: str) -> None:
    command = [sys.executable, "-m", "mlflow", "ui", "--host", _HOST, "--port", str(port)]
    with (
        handled(TERMINATION, raise_interrupt),
        # In a session of its own, Ctrl-C reaches it as one orderly signal, not as three.
        subprocess.Popen(  # noqa: S603
            command, env=os.environ | _LIGHT, start_new_session=True
        ) as server,
    ):
        try:
            while not _answers(port) and server.poll() is None:
                time.sleep(0.2)
            if server.poll() is None:
                print(f"\n{link}\nCtrl-C ends it.", flush=True)
                _open_browser(link)
            sys.exit(server.wait())
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)


def _answers(port: int) -> bool:
    """Whether somebody listens; MLflow does once it is ready."""
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0


def _open_browser(link: str) -> None:
    """Only where there is a screen: a browser of text would take the terminal."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform == "darwin" or any(os.environ.get(name) for name in screens):
        webbrowser.open(link)


if __name__ == "__main__":
    main()
