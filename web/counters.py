"""The one cheap query of a request: whether anything that this process remembers has changed.

A plain driver connection per thread, outside any transaction: on this path an ORM session would cost more than the
answer. The statement is fixed and takes no arguments.
"""

import contextlib
import threading
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

_QUERY = "SELECT name, value FROM counter"


class CounterReader:
    """Reads the counters ``directory``, ``federation`` and ``accounts``; may be shared between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._own = threading.local()
        self._open: set[Any] = set()

    def read(self) -> Mapping[str, int]:
        """The value of every counter; OperationalError where the database does not answer, even to a second try."""
        try:
            return self._query()
        except self._driver_error:
            self._forget()  # the server may have closed an idle connection: once more, with a new one
        try:
            return self._query()
        except self._driver_error as error:
            self._forget()
            raise sa.exc.OperationalError(_QUERY, None, error) from error

    def close(self) -> None:
        """Close the connections of all threads; a later read opens new ones."""
        self._own = threading.local()
        while self._open:
            self._open.pop().close()

    def _query(self) -> dict[str, int]:
        cursor = self._connection().cursor()
        try:
            cursor.execute(_QUERY)
            return dict(cursor.fetchall())
        finally:
            cursor.close()

    def _connection(self) -> Any:  # noqa: ANN401  # two drivers, one interface that neither package types
        if not hasattr(self._own, "connection"):
            lent = self._engine.raw_connection()
            connection: Any = lent.dbapi_connection
            lent.detach()  # this thread keeps it: the pool neither waits for it nor resets it
            if self._engine.dialect.name == "postgresql":
                connection.autocommit = True
            self._own.connection = connection
            self._open.add(connection)
        return self._own.connection

    def _forget(self) -> None:
        connection = self._own.__dict__.pop("connection", None)
        self._open.discard(connection)
        if connection is not None:
            with contextlib.suppress(self._driver_error):  # a broken connection may not even close
                connection.close()
