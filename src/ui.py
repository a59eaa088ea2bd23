"""Open MLflow's page: `python -m src.ui [<study>]`."""

import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence

from src.cli.options import command_parser, run_command
from src.core.errors import EnvironmentFaultError
from src.core.signals import TERMINATION, handled

_HOST = "127.0.0.1"  # the page has no login
# One process instead of fourteen, ready in half the time.
_LIGHT = {
    "MLFLOW_WORKERS": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves MLflow's page until Ctrl-C, or opens the page of a server that runs already."""
    parser = command_parser(
        "ui",
        "Start MLflow's page and open it: a study's charts, or all runs.",
        '"seed"',
        needs_study=False,
    )
    parser.add_argument("--port", type=int, default=os.environ.get("MLFLOW_PORT", "5000"),
                        help="(default: %(default)s, which MLFLOW_PORT sets)")  # fmt: skip
    chosen = parser.parse_args(arguments)
    run_command(lambda: _open(chosen.experiment, chosen.study, chosen.port))


def _open(experiment: str | None, study: str | None, port: int) -> None:
    store = os.environ.get("MLFLOW_TRACKING_URI") or os.environ.get("MLFLOW_BACKEND_STORE_URI", "")
    if store.startswith(("http://", "https://")):
        link = _link(experiment, study, store.rstrip("/"))
        print(link)
        _open_browser(link)
        return
    if store:
        os.environ["MLFLOW_TRACKING_URI"] = store
    if _answers(port):
        raise EnvironmentFaultError(
            f"The port is in use. Received: --port {port}. "
            f"Fix: open http://{_HOST}:{port} if MLflow runs there already, or make ui PORT=5001"
        )
    _serve(port, store, _link(experiment, study, f"http://{_HOST}:{port}"))


def _link(experiment: str | None, study: str | None, page: str) -> str:
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


def _serve(port: int, store: str, link: str) -> None:
    command = [sys.executable, "-m", "mlflow", "ui", "--host", _HOST, "--port", str(port)]
    command += ["--backend-store-uri", store] if store else []
    with (
        handled((signal.SIGINT, *TERMINATION), signal.default_int_handler),
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
        except KeyboardInterrupt:
            print()  # the next line does not begin behind the terminal's ^C
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)


def _answers(port: int) -> bool:
    """Returns whether MLflow listens, which it does once it is ready."""
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0


def _open_browser(link: str) -> None:
    """Opens a link where there is a screen: a text browser would take the terminal."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform == "darwin" or any(os.environ.get(name) for name in screens):
        webbrowser.open(link)


if __name__ == "__main__":
    main()
