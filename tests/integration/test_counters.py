"""The one query of a request, on both databases, by many threads, and after a connection was lost."""

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import make_engine, writing
from directory.store import bump_counter, ensure_counters
from web.counters import CounterReader


@pytest.fixture
def reader(engine: sa.Engine) -> Iterator[CounterReader]:
    with writing(engine) as session:
        ensure_counters(session)
    reader = CounterReader(engine)
    yield reader
    reader.close()


def test_a_move_is_seen_at_once(engine: sa.Engine, reader: CounterReader) -> None:
    assert reader.read() == {"directory": 0, "federation": 0, "accounts": 0}
    with writing(engine) as session:
        bump_counter(session, "accounts")
    assert reader.read()["accounts"] == 1


def test_threads_have_connections_of_their_own(reader: CounterReader) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(found["directory"] == 0 for found in pool.map(lambda _: reader.read(), range(40)))


def test_a_lost_connection_is_made_anew(reader: CounterReader) -> None:
    reader.read()
    reader._own.connection.close()
    assert reader.read()["directory"] == 0


def test_a_database_that_is_no_use_is_said_to_be(engine: sa.Engine, reader: CounterReader) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE counter"))
    with pytest.raises(sa.exc.OperationalError):
        reader.read()


class TestLockedAgainstReaders:
    """SQLite's rollback journal: a transaction that outgrew its cache, or that commits, lets nobody read."""

    @pytest.fixture
    def locked(self, empty_sqlite: sa.Engine) -> sa.Engine:
        with writing(empty_sqlite) as session:
            ensure_counters(session)
        return empty_sqlite

    def test_what_was_read_last_is_given_again(self, locked: sa.Engine) -> None:
        reader = CounterReader(locked)
        known = reader.read()
        with ThreadPoolExecutor(1) as pool, shut_to_readers(locked) as writer:
            assert reader.read() == known
            assert pool.submit(reader.read).result() == known  # a thread with a new connection
            writer.execute("UPDATE counter SET value = value + 1 WHERE name = 'directory'")
            writer.execute("COMMIT")
            assert reader.read()["directory"] == known["directory"] + 1
            assert pool.submit(reader.read).result() == reader.read()
        reader.close()


@contextmanager
def shut_to_readers(engine: sa.Engine) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(str(engine.url.database), isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        yield writer


@pytest.fixture
def empty_sqlite(sqlite_template: Path, tmp_path: Path) -> Iterator[sa.Engine]:
    path = tmp_path / "locked.db"
    shutil.copyfile(sqlite_template, path)
    engine = make_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


def test_a_closed_reader_opens_anew(reader: CounterReader) -> None:
    reader.read()
    reader.close()
    assert reader.read()["accounts"] == 0
