"""The database: one declarative base, aware datetimes, and engines that are safe with several processes.

A writing transaction on SQLite takes its lock at the start (``BEGIN IMMEDIATE``): a deferred one that first reads and
then writes loses against another writer instead of waiting for it. PostgreSQL needs nothing of the kind.
"""

import datetime as dt
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import DeclarativeBase, Session

from directory.database_faults import database_fault, fault_words
from directory.errors import OutcomeUnknownError

_LOG = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 4_000
"""Who asks a node whose database is locked is told so within five seconds (abuse.md F10)."""
CACHE_KIB = 65_536
"""A transaction that outgrows the cache locks readers out until it ends, so a country's first sync must fit."""
WAL_SAFE_SINCE = (3, 51, 3)
"""Write-ahead logging in SQLite before this version can corrupt a database; older ones keep the rollback journal."""
_POSTGRES_LIMITS = f"SET lock_timeout = {BUSY_TIMEOUT_MS}; SET idle_in_transaction_session_timeout = '60s'"
"""As long a wait for another's lock; a process that was stopped in a transaction gives its locks back to the others."""
_ANSWERS_SOON = "veza_answers_soon"


class Base(DeclarativeBase):
    """The base of every table of the node; constraints are named so that migrations can reach them."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UTCDateTime(sa.types.TypeDecorator[dt.datetime]):
    """Aware instants only; SQLite, which stores no zone, gives them back aware too."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Refuse naive datetimes (ValueError) and store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the database")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Give back aware UTC."""
        if value is None:
            return None
        stored = value
        return stored.replace(tzinfo=dt.UTC) if stored.tzinfo is None else stored.astimezone(dt.UTC)


def journal_mode() -> str:
    """The SQLite journal mode that is safe with the library in use."""
    return "WAL" if sqlite3.sqlite_version_info >= WAL_SAFE_SINCE else "TRUNCATE"


def make_engine(url: str) -> sa.Engine:
    """An engine for ``url`` (``sqlite:///…`` or ``postgresql+psycopg://…``), ready for several processes."""
    if sa.make_url(url).get_backend_name() == "sqlite":
        engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    else:
        engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, isolation_level="READ COMMITTED")
    prepare_connections(engine)
    return engine


def prepare_connections(engine: sa.Engine) -> None:
    """Set what each database gets wrong by default on every connection of ``engine``."""
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _set_pragmas)
        sa.event.listen(engine, "begin", _begin)
    else:
        sa.event.listen(engine, "connect", _set_limits)


def answer_soon(engine: sa.Engine) -> None:
    """Let work on ``engine`` give up on a locked database after one wait: somebody waits for its answer."""
    engine.update_execution_options(**{_ANSWERS_SOON: True})


def answers_soon(engine: sa.Engine) -> bool:
    """Whether ``answer_soon`` was said of the engine."""
    return bool(engine.get_execution_options().get(_ANSWERS_SOON, False))


def describe_library(engine: sa.Engine) -> str:
    """The database's library and how it journals, for health pages and ``doctor`` (abuse.md F11)."""
    if engine.dialect.name != "sqlite":
        return engine.dialect.name
    if journal_mode() == "WAL":
        return f"SQLite {sqlite3.sqlite_version} with write-ahead logging"
    return f"SQLite {sqlite3.sqlite_version} with a rollback journal (older than 3.51.3: no write-ahead logging)"


def _set_limits(connection: DBAPIConnection, record: object) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(_POSTGRES_LIMITS)
    connection.commit()


def _set_pragmas(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin, not by the driver
    _warn_of_journal(connection)
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        f"journal_mode={journal_mode()}",
        "synchronous=EXTRA",
        "foreign_keys=ON",
        "secure_delete=ON",
        f"cache_size=-{CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _warn_of_journal(connection: sqlite3.Connection) -> None:
    if journal_mode() != "WAL" and connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        _LOG.warning(
            "the database was in write-ahead mode, which SQLite %s can corrupt: it goes on with a rollback journal",
            sqlite3.sqlite_version,
        )


def _begin(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get("veza_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def begin_writing(session: Session) -> None:
    """Make the session's transaction a writing one; must come before anything else in that transaction."""
    session.connection(execution_options={"veza_writing": True})


@contextmanager
def reading(engine: sa.Engine) -> Iterator[Session]:
    """A session for reading; nothing is committed."""
    with Session(engine) as session:
        yield session


@contextmanager
def writing(engine: sa.Engine) -> Iterator[Session]:
    """A session for writing: one transaction, committed at the end, rolled back whole on any error.

    Raises OutcomeUnknownError where the commit itself failed and may have been kept.
    """
    with Session(engine, expire_on_commit=False) as session:
        begin_writing(session)
        yield session
        commit(session)


def commit(session: Session) -> None:
    """Make the session's transaction durable.

    Where the database fails in the middle of it (abuse.md F05) nobody knows what was kept: every idle connection is
    dropped, so that the next transaction reads what stands, and OutcomeUnknownError says it. Faults that surely keep
    nothing are raised as they are.
    """
    session.flush()
    engine = session.connection().engine
    try:
        session.commit()
    except sa.exc.DBAPIError as error:
        fault = database_fault(error)
        if fault is not None and fault.certain:
            raise
        session.invalidate()  # its own connection may still hold the lock
        engine.dispose()
        why = str(error.orig) if fault is None else fault_words(error, fault)
        raise OutcomeUnknownError(why, passing=fault is not None and fault.passing) from error
