"""The one query of a request, on both databases, by many threads, and after a connection was lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from directory.database import writing
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


def test_a_closed_reader_opens_anew(reader: CounterReader) -> None:
    reader.read()
    reader.close()
    assert reader.read()["accounts"] == 0
