"""The one cheap query of a request: whether anything that this process remembers has changed.

A plain driver connection per thread, outside any transaction: on this path an ORM session would cost more than the
answer. The statement is fixed and takes no arguments.
"""

import threading
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

_QUERY = "SELECT name, value FROM counter"


class CounterReader:
    """Reads the counters ``directory``, ``federation`` and ``accounts``; may be shared between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._own = threading.local()

    def read(self) -> Mapping[str, int]:
        """The value of every counter; OperationalError where the database does not answer, even to a second try."""
        driver_error = self._engine.dialect.loaded_dbapi.Error
        try:
            return self._query()
        except driver_error:
            self._own.__dict__.clear()  # the server may have closed an idle connection: once more, with a new one
        try:
            return self._query()
        except driver_error as error:
            self._own.__dict__.clear()
            raise sa.exc.OperationalError(_QUERY, None, error) from error

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
            lent.detach()  # this thread keeps it: the pool neither waits for it nor resets it
            connection = lent.dbapi_connection
            if self._engine.dialect.name == "postgresql":
                connection.autocommit = True  # type: ignore[union-attr]
            self._own.connection = connection
            self._own.lent = lent
        return self._own.connection
