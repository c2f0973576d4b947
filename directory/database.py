"""The database: one declarative base, aware datetimes, and engines that are safe with several processes.

A writing transaction on SQLite takes its lock at the start (``BEGIN IMMEDIATE``): a deferred one that first reads and
then writes loses against another writer instead of waiting for it. PostgreSQL needs nothing of the kind.
"""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Session

BUSY_TIMEOUT_MS = 5_000
CACHE_KIB = 65_536
"""A transaction that outgrows the cache locks readers out until it ends, so a country's first sync must fit."""
WAL_SAFE_SINCE = (3, 51, 3)
"""Write-ahead logging in SQLite before this version can corrupt a database; older ones keep the rollback journal."""


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
        prepare_sqlite(engine)
        return engine
    return sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, isolation_level="READ COMMITTED")


def prepare_sqlite(engine: sa.Engine) -> None:
    """Set what SQLite gets wrong by default on every connection of ``engine``; other databases are left alone."""
    if engine.dialect.name != "sqlite":
        return
    sa.event.listen(engine, "connect", _set_pragmas)
    sa.event.listen(engine, "begin", _begin)


def _set_pragmas(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin, not by the driver
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        f"journal_mode={journal_mode()}",
        "synchronous=EXTRA",
        "foreign_keys=ON",
        "secure_delete=ON",
        f"cache_size=-{CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")


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
    """A session for writing: one transaction, committed at the end, rolled back whole on any error."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        begin_writing(session)
        yield session
