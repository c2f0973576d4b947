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
from directory.database import Base, answers_soon, writing
from directory.database_faults import DatabaseFault, database_fault, fault_words
from directory.errors import OutcomeUnknownError
from sync.errors import StorageError

T = TypeVar("T")

ATTEMPTS = 8
"""Tries of one transaction; each waits four seconds for a lock by itself."""
RACES = 3
"""Races that may be lost to other writers of the same new row before it is believed to be a mistake."""
_FIRST_PAUSE = 0.05

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def store(engine: sa.Engine, work: Callable[[Session], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Do ``work`` in one writing transaction; it is repeated whole where the database was busy or the connection lost.

    Where the outcome of a commit is not known the work runs again too, and finds what stands. Raises StorageError
    with the code of the fault after the last try, at once where waiting heals nothing.
    """
    attempt = 0
    while True:
        try:
            with writing(engine) as session:
                return work(session)
        except (sa.exc.DBAPIError, OutcomeUnknownError) as error:
            _check_worth_a_try(engine, error, attempt)
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            raise StorageError("storage_full", f"the disk is full: {error}") from error
        sleep(_FIRST_PAUSE * 2**attempt)
        attempt += 1


def _check_worth_a_try(engine: sa.Engine, error: sa.exc.DBAPIError | OutcomeUnknownError, attempt: int) -> None:
    """Raise where trying once more will not help."""
    if isinstance(error, sa.exc.IntegrityError) and attempt < RACES:
        return  # another wrote the same row first, such as the same new configuration: the work sees it next time
    if isinstance(error, OutcomeUnknownError):
        _check_unknown_worth_a_try(error, attempt)
        return
    fault = database_fault(error)
    if fault is None:
        raise error
    if not fault.passing or attempt >= _attempts(engine, error) - 1:
        raise storage_error(error, fault) from error


def _check_unknown_worth_a_try(error: OutcomeUnknownError, attempt: int) -> None:
    if not error.passing or attempt >= ATTEMPTS - 1:
        raise StorageError(error.code, error.detail) from error


def _attempts(engine: sa.Engine, error: sa.exc.DBAPIError) -> int:
    """How often a transaction is tried: where somebody waits for the answer a lost connection is replaced, once."""
    if not answers_soon(engine):
        return ATTEMPTS
    return 2 if error.connection_invalidated else 1


def storage_error(error: sa.exc.DBAPIError, fault: DatabaseFault) -> StorageError:
    """The fault of a database as an error of this package; nothing was changed."""
    return StorageError(fault.code, f"nothing was changed: {fault_words(error, fault)}")


def storage_code(error: sa.exc.DBAPIError) -> str | None:
    """``busy`` or ``storage_full``; None for a mistake of the program."""
    fault = database_fault(error)
    return None if fault is None else fault.code


def put_row(session: Session, table: type[Base], keys: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert a row, or set ``values`` of the one that has these ``keys``; two processes may do so at once."""
    insert = insert_into(session, table).values({**keys, **values})
    session.execute(insert.on_conflict_do_update(index_elements=list(keys), set_=dict(values)))
