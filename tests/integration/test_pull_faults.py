"""A pull that breaks at every point leaves the state before or after it, never one between (abuse.md group F)."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import writing
from sync.errors import LeaseLostError
from sync.lease import LIFETIME, acquire
from sync.pull import pull_all, pull_participant
from tests.simulators.faulty_transport import FaultyTransport
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode, duty_officer

HELD = 10


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def origin(network: SimulatedNetwork) -> SimulatedNode:
    return network.add("RS")


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork, origin: SimulatedNode) -> Follower:
    origin.grow(HELD)
    follower = make_follower(engine, network)
    assert follower.pull_all()["RS"].result == "ok"
    origin.grow(500)
    origin.publish("member/m-3", duty_officer(300))
    return follower


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_every_request_fails_before_or_after_it_was_served(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, before: bool
) -> None:
    counting = FaultyTransport(network)
    state, whole = follower.snapshot("RS"), (origin.size, origin.root)
    for at in range(5):  # configuration, checkpoint, three pages
        faulty = FaultyTransport(network, at, before=before)
        result = follower.using(faulty).pull("RS")
        held = follower.snapshot("RS")
        assert faulty.count > at
        if result.result == "ok":  # the configuration held was enough
            assert (at, held.size, held.root) == (0, *whole)
            return_to(follower, origin)
            state, whole = follower.snapshot("RS"), (origin.size, origin.root)
        else:
            assert (result.result, held) == ("timeout", state)
        follower.check_logs()
    assert follower.using(counting).pull("RS").result == "ok"
    assert counting.count == 5
    follower.check_holds(origin)


def return_to(follower: Follower, origin: SimulatedNode) -> None:
    """Something new again, on three pages."""
    origin.grow(513, start=origin.size)
    assert follower.head("RS").size == origin.size - 513


TABLES = ["log", "entry", "record", "seen_checkpoint", "sync_status", "counter"]


@contextmanager
def broken_table(engine: sa.Engine, table: str) -> Iterator[None]:
    """F03: every insert and update of a table is refused by a trigger."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            for event in ("INSERT", "UPDATE"):
                connection.exec_driver_sql(
                    f"CREATE TRIGGER broken_{event} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END"
                )
        else:
            connection.exec_driver_sql(
                "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'broken'; END$$"
            )
            connection.exec_driver_sql(
                f'CREATE TRIGGER broken BEFORE INSERT OR UPDATE ON "{table}" EXECUTE FUNCTION broken()'
            )
    try:
        yield
    finally:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("DROP TRIGGER broken_INSERT")
                connection.exec_driver_sql("DROP TRIGGER broken_UPDATE")
            else:
                connection.exec_driver_sql(f'DROP TRIGGER broken ON "{table}"')
                connection.exec_driver_sql("DROP FUNCTION broken()")


@pytest.mark.parametrize("table", TABLES)
def test_transaction_that_breaks_at_any_table_is_rolled_back_whole(
    follower: Follower, engine: sa.Engine, origin: SimulatedNode, table: str
) -> None:
    state = follower.snapshot("RS")
    with broken_table(engine, table):
        result = follower.pull("RS")
    assert result.result == "busy"
    assert "broken" in str(result.detail)
    assert follower.snapshot("RS") == state
    follower.check_logs()
    assert follower.pull("RS").result == "ok"
    follower.check_holds(origin)


def test_error_that_nobody_foresaw_in_one_participant_lets_the_others_finish(
    follower: Follower, network: SimulatedNetwork
) -> None:
    network.add("MK").grow(2)

    def fail(url: str) -> None:
        raise ZeroDivisionError("a mistake in the program")

    network.faults["//rs.example/federation"] = fail  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        follower.pull_all()
    assert len(follower.records("MK")) == 2


class TestBusyDatabase:
    """Another process holds the write lock (F10), or the disk is full (F09)."""

    @pytest.fixture
    def database_url(self, sqlite_template: Path, tmp_path: Path) -> str:
        """SQLite alone: PostgreSQL has no lock over the whole database."""
        path = tmp_path / "veza.db"
        path.write_bytes(sqlite_template.read_bytes())
        return f"sqlite:///{path}"

    def test_lock_that_is_given_back_only_delays(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, tmp_path: Path
    ) -> None:
        blocker = sqlite3.connect(tmp_path / "veza.db", isolation_level=None, check_same_thread=False)
        release = threading.Timer(0.3, lambda: blocker.execute("ROLLBACK"))

        def lock_meanwhile(url: str) -> None:
            network.faults.clear()
            blocker.execute("BEGIN IMMEDIATE")
            release.start()

        network.faults["/entries"] = lock_meanwhile  # type: ignore[assignment]
        assert follower.pull("RS").result == "ok"
        release.join()
        blocker.close()
        follower.check_holds(origin)

    def test_full_disk_is_said_and_heals(self, follower: Follower, origin: SimulatedNode, engine: sa.Engine) -> None:
        state = follower.snapshot("RS")

        def limit(connection: sqlite3.Connection, record: object) -> None:
            connection.execute("PRAGMA max_page_count = 1")  # as small as the database is now

        engine.dispose()
        sa.event.listen(engine, "connect", limit)
        assert follower.pull("RS").result == "storage_full"
        assert follower.snapshot("RS") == state
        sa.event.remove(engine, "connect", limit)
        engine.dispose()
        assert follower.pull("RS").result == "ok"
        follower.check_holds(origin)


def test_full_disk_for_the_spool_is_said_and_heals(follower: Follower, origin: SimulatedNode, tmp_path: Path) -> None:
    blocked = tmp_path / "spool"
    blocked.write_text("a file where the folder should be")
    state = follower.snapshot("RS")
    limited = follower.limited(blocked, memory_bytes=1000)
    assert limited.pull("RS").result == "storage_full"
    assert follower.snapshot("RS") == state
    blocked.unlink()
    assert limited.pull("RS").result == "ok"
    follower.check_holds(origin)


class TestFence:
    """A leader that stalled must not write after another took over (lease.py)."""

    def test_work_of_a_former_leader_is_not_written(
        self, follower: Follower, engine: sa.Engine, origin: SimulatedNode
    ) -> None:
        with writing(engine) as session:
            fence = acquire(session, "worker", "first", follower.now)
        assert fence is not None
        with writing(engine) as session:
            assert acquire(session, "worker", "second", follower.now + 2 * LIFETIME) is not None
        state, status = follower.snapshot("RS"), follower.status("RS")
        result = pull_participant(follower.node, "RS", follower.now, fence=fence)
        assert (result.result, follower.snapshot("RS"), follower.status("RS")) == ("conflict", state, status)
        with pytest.raises(LeaseLostError):
            pull_all(follower.node, follower.now, fence=fence)
        assert follower.pull("RS").result == "ok"

    def test_work_of_the_leader_is_written(self, follower: Follower, engine: sa.Engine) -> None:
        with writing(engine) as session:
            fence = acquire(session, "worker", "first", follower.now)
        assert pull_all(follower.node, follower.now, fence=fence)[0].result == "ok"


class TestStopping:
    """A process that is asked to stop gives up, and leaves nothing half done."""

    @pytest.mark.parametrize("part", ["openid-federation", "/checkpoint", "entries?start=10", "entries?start=256"])
    def test_at_any_request(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, part: str
    ) -> None:
        node = replace(follower.node, stopping=threading.Event())
        network.faults[part] = lambda url: node.stopping.set()  # type: ignore[func-returns-value]
        state, status = follower.snapshot("RS"), follower.status("RS")
        result = pull_participant(node, "RS", follower.now)
        assert result.result != "ok"
        assert (follower.snapshot("RS"), follower.status("RS")) == (state, status)
        follower.check_logs()
        network.faults.clear()
        assert follower.pull("RS").result == "ok"
        follower.check_holds(origin)
