"""The store's SQLite database, where it is one: what MLflow's client does run by run, all at once.

MLflow's minor version is pinned, and each statement that is run here has its twin in MLflow's
client, for servers; tests hold them together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._tracking_service.utils import _get_store
from sqlalchemy.orm import Session

Row = dict[str, str | float | None]
"""Values by the names that a statement gives them."""


def sqlite_store() -> SqlAlchemyStore | None:
    """The tracking store, if it is a SQLite database; None if it is anything else."""
    store = _get_store()
    is_known = type(store) is SqlAlchemyStore  # a store of several workspaces has other rules
    return store if is_known and store.db_type == "sqlite" else None


@contextmanager
def transaction(store: SqlAlchemyStore) -> Iterator[Session]:
    """A session whose turn it is to write, however long that takes; what it writes is one whole.

    One that began by reading could be refused when it comes to write.

    Raises:
        MlflowException: If the database stays locked for 20 s (see `is_busy`), or refuses a row.
    """
    with store.ManagedSessionMaker(read_only=False) as session:
        session.connection().exec_driver_sql("BEGIN IMMEDIATE")
        yield session


def run_all(session: Session, statement: str, rows: list[Row]) -> None:
    """Run a statement for each row."""
    if rows:
        # SQLAlchemy's own statements would copy each row several times.
        session.connection().exec_driver_sql(statement, rows)


def read(store: SqlAlchemyStore, query: str, values: Row) -> list[tuple[Any, ...]]:
    """What a query finds."""
    with store.ManagedSessionMaker() as session:
        found = session.connection().exec_driver_sql(query, values)
        return [tuple(row) for row in found]
