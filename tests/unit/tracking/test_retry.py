"""Calls to a store that is busy, or that belongs to another version of MLflow."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from src.core.errors import EnvironmentFaultError
from src.tracking.lookup import find_experiment
from src.tracking.retry import patient


def test_busy_store_is_retried_for_a_while_and_then_raises(monkeypatch, capsys) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    calls = []

    @patient
    def call(num_busy: int) -> int:
        calls.append(1)
        if len(calls) <= num_busy:
            raise MlflowException("locked", TEMPORARILY_UNAVAILABLE)
        return len(calls)

    assert call(2) == 3
    assert capsys.readouterr().err == "Tracking store busy: retrying.\n" * 2
    calls.clear()
    with pytest.raises(MlflowException, match="locked"):
        call(100)
    assert len(calls) == 10


def test_other_errors_are_not_retried() -> None:
    @patient
    def call() -> None:
        calls.append(1)
        raise MlflowException("no such run")

    calls: list[int] = []
    with pytest.raises(MlflowException, match="no such run"):
        call()
    assert len(calls) == 1


def test_store_of_another_mlflow_version_is_explained_with_the_command(
    in_new_store, monkeypatch
) -> None:
    folder: Path = in_new_store("of another version")
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'another'")
        connection.commit()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///../of another version/mlflow.db")
    with pytest.raises(EnvironmentFaultError, match="another version of MLflow") as refused:
        find_experiment("faces")
    message = str(refused.value)
    assert "`mlflow db upgrade sqlite:///../of another version/mlflow.db`" in message
    assert "\n" not in message
