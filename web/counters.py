"""The one cheap query of a request: whether anything that this process remembers has changed.

A plain driver connection per thread, outside any transaction: on this path an ORM session would cost more than the
answer. The statement is fixed and takes no arguments.

A long transaction on SQLite's rollback journal shuts readers out while it writes. Until it commits nothing new can be
seen by anybody, so what was read last is given again at once: who asks is answered from what this process holds.
"""

import contextlib
import threading
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

_QUERY = "SELECT name, value FROM counter"
_LOCKED_MS = 50
"""How long a reader that knows an answer waits for a locked SQLite database."""
_SQLITE_LOCKED = frozenset({5, 6})


class CounterReader:
    """Reads the counters ``directory``, ``federation`` and ``accounts``; may be shared between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._own = threading.local()
        self._open: set[Any] = set()
        self._last: Mapping[str, int] | None = None

    def read(self) -> Mapping[str, int]:
        """The value of every counter; OperationalError where the database does not answer, even to a second try.

        While a SQLite database is locked against readers, the values read last.
        """
        try:
            return self._query()
        except self._driver_error as error:
            if self._last is not None and getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_LOCKED:
                return self._last
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
            found = dict(cursor.fetchall())
            if self._last is None and self._engine.dialect.name == "sqlite":
                cursor.execute(f"PRAGMA busy_timeout={_LOCKED_MS}")  # from now on there is something to go on with
            self._last = found
            return found
        finally:
            cursor.close()

    def _connection(self) -> Any:  # noqa: ANN401  # two drivers, one interface that neither package types
        if not hasattr(self._own, "connection"):
            lent = self._engine.raw_connection()
            connection: Any = lent.dbapi_connection
            lent.detach()  # this thread keeps it: the pool neither waits for it nor resets it
            if self._engine.dialect.name == "postgresql":
                connection.autocommit = True
            elif self._last is not None:
                connection.execute(f"PRAGMA busy_timeout={_LOCKED_MS}")
            self._own.connection = connection
            self._open.add(connection)
        return self._own.connection

    def _forget(self) -> None:
        connection = self._own.__dict__.pop("connection", None)
        self._open.discard(connection)
        if connection is not None:
            with contextlib.suppress(self._driver_error):  # a broken connection may not even close
                connection.close()
