"""The index of a process keeps up with the database."""

import datetime as dt
import threading

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from directory.index import IndexCache
from directory.store import AppliedEntry, apply_entries, drop_participant
from tests.unit.directory.asking import country, unit

AT = dt.datetime(2027, 2, 9, 9, 0, tzinfo=dt.UTC)


def _publish(engine, records, *, first=1):
    entries = [
        AppliedEntry(seq, record, "delete" if data is None else "put", AT, data, None, "live" if data else "deleted")
        for seq, (record, data) in enumerate(records.items(), first)
    ]
    with writing(engine) as session:
        apply_entries(session, "QB", entries)


def _refresh(engine, cache):
    with reading(engine) as session:
        return cache.refresh(session)


@pytest.fixture
def cache(engine):
    _publish(engine, country("QB", [unit("qb-a", "spoc"), unit("qb-b", "ncb")]).records)
    return IndexCache()


def test_it_has_what_the_database_has(engine, cache):
    directory = _refresh(engine, cache)
    assert set(directory.participants) == {"QB"}
    assert directory.unit("QB:unit/qb-a").verified_at == AT


def test_it_learns_of_changes_and_of_what_goes(engine, cache):
    _refresh(engine, cache)
    _publish(engine, {"unit/qb-a": None, "unit/qb-b": unit("qb-b", "spoc")}, first=5)
    directory = _refresh(engine, cache)
    assert directory.unit("QB:unit/qb-a") is None
    assert directory.spoc("QB").slug == "qb-b"


def test_it_learns_of_a_participant_that_goes(engine, cache):
    _refresh(engine, cache)
    with writing(engine) as session:
        drop_participant(session, "QB")
    directory = _refresh(engine, cache)
    assert directory.participants == {}
    assert list(directory.units()) == []


def test_nothing_is_read_where_nothing_changed(engine, cache):
    _refresh(engine, cache)
    statements = []
    sa.event.listen(engine, "before_cursor_execute", lambda *event: statements.append(event[2]))
    _refresh(engine, cache)
    selects = [statement for statement in statements if statement.lstrip().upper().startswith("SELECT")]
    assert len(selects) == 1
    assert "counter" in selects[0]


def test_an_empty_database_gives_an_empty_directory(engine):
    assert _refresh(engine, IndexCache()).participants == {}


def test_several_threads_may_ask_at_once(engine, cache):
    found = []

    def ask():
        found.append(_refresh(engine, cache).unit("QB:unit/qb-a"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.slug for each in found} == {"qb-a"}
