"""Writing to the database from jobs: with patience, and with a clear code where it does not work.

A job is not a web request: it can wait for another writer, and it may repeat a transaction that was lost, because
every transaction of this package checks what it starts from.
"""

import errno
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.bulk import insert_into
from directory.database import Base, writing
from sync.errors import StorageError

T = TypeVar("T")

ATTEMPTS = 8
"""Tries of one transaction; on SQLite each waits up to five seconds for the lock by itself."""
RACES = 3
"""Races that may be lost to other writers of the same new row before it is believed to be a mistake."""
_FIRST_PAUSE = 0.05

_SQLITE_BUSY = {5, 6, 261, 517, 773}
_SQLITE_FULL = 13
_POSTGRES_RETRIED = {"40001", "40P01", "55P03"}
"""Serialisation failure, deadlock, lock not available."""
_POSTGRES_FULL = "53100"


def store(engine: sa.Engine, work: Callable[[Session], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Do ``work`` in one writing transaction; it is repeated whole where the database was busy or the connection lost.

    Raises StorageError ``busy`` after the last try, ``storage_full`` where the disk is full.
    """
    attempt = 0
    while True:
        try:
            with writing(engine) as session:
                return work(session)
        except sa.exc.DBAPIError as error:
            _check_worth_a_try(error, attempt)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise StorageError("storage_full", f"the disk is full: {error}") from error
        sleep(_FIRST_PAUSE * 2**attempt)
        attempt += 1


def _check_worth_a_try(error: sa.exc.DBAPIError, attempt: int) -> None:
    """Raise where trying once more will not help."""
    if isinstance(error, sa.exc.IntegrityError) and attempt < RACES:
        return  # another wrote the same row first, such as the same new configuration: the work sees it next time
    code = storage_code(error)
    if code is None:
        raise error
    if code == "storage_full" or attempt >= ATTEMPTS - 1:
        raise StorageError(code, f"the database did not take the change: {error.orig}") from error


def storage_code(error: sa.exc.DBAPIError) -> str | None:
    """``busy``, ``storage_full``, or None for an error that waiting does not heal."""
    original: Any = error.orig
    number = getattr(original, "sqlite_errorcode", None)
    state = getattr(original, "sqlstate", None)
    if number == _SQLITE_FULL or state == _POSTGRES_FULL:
        return "storage_full"
    if number in _SQLITE_BUSY or state in _POSTGRES_RETRIED or error.connection_invalidated:
        return "busy"
    return None


def put_row(session: Session, table: type[Base], keys: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert a row, or set ``values`` of the one that has these ``keys``; two processes may do so at once."""
    insert = insert_into(session, table).values({**keys, **values})
    session.execute(insert.on_conflict_do_update(index_elements=list(keys), set_=dict(values)))
