"""Patience with a busy database, and a clear code where it does not help."""

import errno
import sqlite3
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import answer_soon, make_engine
from directory.errors import OutcomeUnknownError
from sync.errors import StorageError
from sync.storing import ATTEMPTS, RACES, storage_code, store


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return make_engine(f"sqlite:///{tmp_path / 'veza.db'}")


def database_error(original: BaseException, *, lost: bool = False) -> sa.exc.DBAPIError:
    return sa.exc.DBAPIError("SELECT 1", None, original, connection_invalidated=lost)


def sqlite_error(number: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as the test wants")
    error.sqlite_errorcode = number
    return error


CODES = [
    (sqlite_error(sqlite3.SQLITE_BUSY), False, "busy"),
    (sqlite_error(sqlite3.SQLITE_LOCKED), False, "busy"),
    (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), False, "busy"),
    (sqlite_error(sqlite3.SQLITE_FULL), False, "storage_full"),
    (sqlite_error(sqlite3.SQLITE_CORRUPT), False, "busy"),
    (sqlite_error(sqlite3.SQLITE_READONLY), False, "busy"),
    (sqlite_error(sqlite3.SQLITE_IOERR_FSYNC), False, "busy"),
    (psycopg.errors.DeadlockDetected(), False, "busy"),
    (psycopg.errors.SerializationFailure(), False, "busy"),
    (psycopg.errors.DiskFull(), False, "storage_full"),
    (psycopg.errors.LockNotAvailable(), False, "busy"),
    (psycopg.errors.UniqueViolation(), False, "busy"),
    (psycopg.OperationalError("the connection was lost"), True, "busy"),
    (psycopg.OperationalError("something else"), False, "busy"),
]


@pytest.mark.parametrize(("original", "lost", "code"), CODES)
def test_code_of_a_database_error(original: BaseException, lost: bool, code: str | None) -> None:
    assert storage_code(database_error(original, lost=lost)) == code


class Work:
    """Raises what the test wants, then succeeds."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, session: Session) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_busy_database_is_tried_again_with_growing_pauses(engine: sa.Engine) -> None:
    pauses: list[float] = []
    work = Work(*[database_error(sqlite_error(sqlite3.SQLITE_BUSY))] * 3)
    assert store(engine, work, pauses.append) == "done"
    assert (work.calls, pauses) == (4, [0.05, 0.1, 0.2])


def test_lost_connection_is_tried_again(engine: sa.Engine) -> None:
    """F21: the backend was killed in the transaction."""
    work = Work(database_error(psycopg.OperationalError("terminated"), lost=True))
    assert store(engine, work, lambda pause: None) == "done"


def test_patience_ends(engine: sa.Engine) -> None:
    work = Work(*[database_error(sqlite_error(sqlite3.SQLITE_BUSY))] * 100)
    with pytest.raises(StorageError) as refusal:
        store(engine, work, lambda pause: None)
    assert (refusal.value.code, work.calls) == ("busy", ATTEMPTS)


@pytest.mark.parametrize(
    "error", [database_error(sqlite_error(sqlite3.SQLITE_FULL)), OSError(errno.ENOSPC, "no space left on device")]
)
def test_full_disk_is_not_tried_again(engine: sa.Engine, error: Exception) -> None:
    work = Work(error)
    with pytest.raises(StorageError) as refusal:
        store(engine, work, lambda pause: None)
    assert (refusal.value.code, work.calls) == ("storage_full", 1)


@pytest.mark.parametrize(
    "error",
    [
        sa.exc.ProgrammingError("SELEC 1", None, psycopg.errors.SyntaxError("at SELEC")),
        OSError(errno.EIO, "the disk gave an input/output error"),
        KeyError(),
    ],
)
def test_other_errors_are_not_swallowed(engine: sa.Engine, error: Exception) -> None:
    work = Work(error)
    with pytest.raises(type(error)):
        store(engine, work, lambda pause: None)
    assert work.calls == 1


def lost_race() -> sa.exc.IntegrityError:
    return sa.exc.IntegrityError("INSERT", None, sqlite3.IntegrityError("UNIQUE constraint failed"))


def test_a_lost_race_for_a_new_row_is_run_again(engine: sa.Engine) -> None:
    work = Work(lost_race(), lost_race())
    store(engine, work, lambda seconds: None)
    assert work.calls == 3


def test_what_keeps_being_lost_is_a_mistake_and_shows(engine: sa.Engine) -> None:
    work = Work(*(lost_race() for _ in range(RACES + 1)))
    with pytest.raises(StorageError, match="refused the change"):
        store(engine, work, lambda seconds: None)
    assert work.calls == RACES + 1


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (sqlite3.SQLITE_CORRUPT, "the database file is damaged"),
        (sqlite3.SQLITE_IOERR_WRITE, "the disk gave an input/output error"),
        (sqlite3.SQLITE_READONLY, "can only be read"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
    ],
)
def test_what_waiting_does_not_heal_is_said_at_once(engine: sa.Engine, number: int, words: str) -> None:
    work = Work(database_error(sqlite_error(number)))
    with pytest.raises(StorageError, match=words) as refusal:
        store(engine, work, lambda seconds: None)
    assert (refusal.value.code, work.calls) == ("busy", 1)


@pytest.mark.parametrize(("lost", "calls"), [(False, 1), (True, 2)])
def test_who_waits_for_an_answer_gets_it_soon(engine: sa.Engine, lost: bool, calls: int) -> None:
    answer_soon(engine)
    work = Work(*[database_error(sqlite_error(sqlite3.SQLITE_BUSY), lost=lost)] * 100)
    with pytest.raises(StorageError):
        store(engine, work, lambda seconds: None)
    assert work.calls == calls


@pytest.mark.parametrize(("passing", "calls"), [(True, 2), (False, 1)])
def test_work_whose_outcome_is_unknown_runs_again_where_that_may_help(
    engine: sa.Engine, passing: bool, calls: int
) -> None:
    work = Work(OutcomeUnknownError("the disk failed", passing=passing))
    if passing:
        assert store(engine, work, lambda seconds: None) == "done"
    else:
        with pytest.raises(StorageError, match="not known"):
            store(engine, work, lambda seconds: None)
    assert work.calls == calls
