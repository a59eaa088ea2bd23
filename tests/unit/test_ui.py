import os
import socket
from typing import Any, ClassVar

import pytest

from src import ui
from src.ui import main


class Server:
    """A process that has ended, in place of MLflow's."""

    commands: ClassVar[list[list[str]]] = []

    def __init__(self, command: list[str], **_: Any) -> None:
        self.commands.append(command)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None: ...

    def poll(self) -> int:
        return 0

    wait = poll


@pytest.fixture
def served(monkeypatch) -> list[list[str]]:
    """Commands that would have started a server; no store is asked for a link."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_BACKEND_STORE_URI", "MLFLOW_PORT", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Server, "commands", [])
    monkeypatch.setattr(ui.subprocess, "Popen", Server)
    monkeypatch.setattr(ui, "_link", lambda experiment, study, page: f"{page}/#/{study}")
    monkeypatch.setattr(ui, "_open_browser", lambda link: None)
    return Server.commands


def serve(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ending:
        main(arguments)
    assert ending.value.code == 0


def test_local_store_is_served_at_the_usual_port(served) -> None:
    serve()
    assert served[0][-5:] == ["ui", "--host", "127.0.0.1", "--port", "5000"]


def test_port_is_that_of_the_environment_or_the_command_line(served, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_PORT", "5017")
    serve()
    serve("study=small", "--port", "5018")
    assert [command[-1] for command in served] == ["5017", "5018"]


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "MLFLOW_BACKEND_STORE_URI"])
def test_database_of_the_environment_is_served(served, monkeypatch, name: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # restored at the end of the test
    monkeypatch.setenv(name, "sqlite:///elsewhere.db")
    serve()
    assert served[0][-2:] == ["--backend-store-uri", "sqlite:///elsewhere.db"]
    assert os.environ["MLFLOW_TRACKING_URI"] == "sqlite:///elsewhere.db"


def test_page_of_a_server_is_opened_and_nothing_is_started(served, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:8080/")
    main(["study=small"])
    assert capsys.readouterr().out == "http://tracking:8080/#/small\n"
    assert not served


def test_port_in_use_is_explained(served) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        with pytest.raises(SystemExit, match=rf"in use. Received: --port {port}. Fix: open"):
            main(["--port", port])
    assert not served
