"""Writing many rows of one table at once, and how many a change met, on SQLite and PostgreSQL."""

import functools
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from directory.database import Base

COPY_FROM = 500
"""Rows from which PostgreSQL is given them as a copy stream, which halves the time but needs a temporary table."""


def insert_into(session: Session, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """Begin an INSERT that can say what to do ON CONFLICT, for the database in use."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def count_changed(
    session: Session, statement: sa.Update | sa.Delete, parameters: Mapping[str, Any] | None = None
) -> int:
    """Carry out an UPDATE or DELETE; how many rows it met. What must happen once asks whether that was one."""
    result: Any = session.execute(statement.execution_options(synchronize_session=False), parameters)
    return int(result.rowcount)


def upsert(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, each with every column and a primary key of its own; a row that is there already is replaced whole.

    At least one row. The session's transaction is not committed.
    """
    connection = session.connection()
    insert = insert_into(session, table)
    if isinstance(insert, postgresql.Insert) and len(rows) >= COPY_FROM:
        incoming = _copy(connection, insert.table, rows)
        names = incoming.columns.keys()
        connection.execute(_replacing(insert, table).from_select(names, sa.select(incoming)))
        incoming.drop(connection)
    else:
        connection.execute(_replacing_text(table), rows)


@functools.cache
def _replacing_text(table: type[Base]) -> sa.TextClause:
    """The same statement as text, which both databases read alike.

    SQLAlchemy keeps the compiled form of a text, but compiles its own ON CONFLICT anew each time, which costs more than
    writing a few rows does.
    """
    columns = sa.inspect(table).columns
    keys = [column.name for column in sa.inspect(table).primary_key]
    names = ", ".join(f'"{column.name}"' for column in columns)
    values = ", ".join(f":{column.name}" for column in columns)
    others = ", ".join(f'"{column.name}" = excluded."{column.name}"' for column in columns if column.name not in keys)
    statement = (
        f'INSERT INTO "{table.__tablename__}" ({names}) VALUES ({values}) '  # noqa: S608  # names of our own tables
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {others}"
    )
    return sa.text(statement).bindparams(*(sa.bindparam(column.name, type_=column.type) for column in columns))


def _replacing(insert: postgresql.Insert | sqlite.Insert, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    keys = [column.name for column in sa.inspect(table).primary_key]
    others = {column.name: column for column in insert.excluded if column.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=others)


def _copy(connection: sa.Connection, table: sa.TableClause, rows: Sequence[Mapping[str, Any]]) -> sa.Table:
    """Stream rows to a temporary table with the columns of ``table``."""
    columns = [sa.Column(column.name, column.type) for column in table.columns]
    incoming = sa.Table(f"incoming_{table.name}", sa.MetaData(), *columns, prefixes=["TEMPORARY"])
    incoming.create(connection)
    quoted = ", ".join(f'"{column.name}"' for column in columns)
    # A stream goes past the types of the columns, which refuse what must not be stored: they are asked here.
    writers = [(column.name, column.type.bind_processor(connection.dialect)) for column in columns]
    copy = f"COPY {incoming.name} ({quoted}) FROM STDIN"
    with closing(connection.connection.cursor()) as cursor, cursor.copy(copy) as stream:
        for row in rows:
            stream.write_row([write(row[name]) if write else row[name] for name, write in writers])
    return incoming
