"""One leader among workers: the lease is taken, kept, lost and given back; late writes are refused."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from directory.database import make_engine, writing
from sync.errors import LeaseLostError
from sync.lease import LIFETIME, Fence, acquire, check_epoch, release, release_dead, renew

NOW = dt.datetime(2026, 11, 21, 20, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def take(engine: sa.Engine, holder: str, now: dt.datetime = NOW) -> Fence | None:
    with writing(engine) as session:
        return acquire(session, "worker", holder, now)


def keep(engine: sa.Engine, fence: Fence, now: dt.datetime) -> bool:
    with writing(engine) as session:
        return renew(session, fence, now)


def taken(fence: Fence | None) -> Fence:
    assert fence is not None
    return fence


def test_first_one_leads_and_the_second_does_not(engine: sa.Engine) -> None:
    assert take(engine, "a") == Fence("worker", "a", 1)
    assert take(engine, "b") is None


@pytest.mark.parametrize(("seconds", "led"), [(29, False), (30, False), (31, True)])
def test_lease_is_free_when_it_has_ended(engine: sa.Engine, seconds: int, led: bool) -> None:
    take(engine, "a")
    assert (take(engine, "b", NOW + seconds * SECOND) is not None) is led


def test_renewed_lease_goes_on(engine: sa.Engine) -> None:
    fence = taken(take(engine, "a"))
    assert keep(engine, fence, NOW + 20 * SECOND)
    assert take(engine, "b", NOW + 45 * SECOND) is None


def test_lost_lease_cannot_be_renewed(engine: sa.Engine) -> None:
    fence = taken(take(engine, "a"))
    assert take(engine, "b", NOW + 2 * LIFETIME) == Fence("worker", "b", 2)
    assert not keep(engine, fence, NOW + 2 * LIFETIME)


def test_lease_given_back_is_free_at_once(engine: sa.Engine) -> None:
    fence = taken(take(engine, "a"))
    with writing(engine) as session:
        release(session, fence, NOW)
    assert take(engine, "b", NOW) == Fence("worker", "b", 2)


def test_former_leader_gives_back_nothing(engine: sa.Engine) -> None:
    fence = taken(take(engine, "a"))
    take(engine, "b", NOW + 2 * LIFETIME)
    with writing(engine) as session:
        release(session, fence, NOW + 2 * LIFETIME)
    assert take(engine, "c", NOW + 2 * LIFETIME) is None


def test_late_write_of_a_former_leader_is_refused(engine: sa.Engine) -> None:
    fence = taken(take(engine, "a"))
    with writing(engine) as session:
        check_epoch(session, fence)
    take(engine, "b", NOW + 2 * LIFETIME)
    with writing(engine) as session, pytest.raises(LeaseLostError):
        check_epoch(session, fence)


def test_work_begun_before_a_pause_is_not_that_of_the_lease_taken_after_it(engine: sa.Engine) -> None:
    """The same process leads again: what it began in the former epoch is as late as another's."""
    before = taken(take(engine, "a"))
    after = taken(take(engine, "a", NOW + 2 * LIFETIME))
    assert (before.epoch, after.epoch) == (1, 2)
    with writing(engine) as session, pytest.raises(LeaseLostError):
        check_epoch(session, before)


def test_long_write_keeps_neither_the_renewal_nor_other_writes_of_the_leader_waiting(
    engine: sa.Engine, database_url: str
) -> None:
    """Only where writers go side by side: SQLite has one at a time."""
    fence = taken(take(engine, "a"))
    other = make_engine(database_url)
    with writing(engine) as session:
        check_epoch(session, fence)
        if engine.dialect.name == "postgresql":
            with writing(other) as beside:
                check_epoch(beside, fence)
            assert keep(other, fence, NOW + 20 * SECOND)
        with pytest.raises(sa.exc.OperationalError):  # it has to wait for the write's end, and gives up
            take(other, "b", NOW + 2 * LIFETIME)
    other.dispose()
    assert taken(take(engine, "b", NOW + 2 * LIFETIME)).epoch == 2


def test_operators_command_needs_no_lease(engine: sa.Engine) -> None:
    with writing(engine) as session:
        check_epoch(session, None)


def test_leases_of_other_names_are_apart(engine: sa.Engine) -> None:
    take(engine, "a")
    with writing(engine) as session:
        assert acquire(session, "other", "b", NOW) == Fence("other", "b", 1)


@pytest.mark.parametrize("existing", [True, False], ids=["ended lease", "no lease yet"])
def test_of_many_that_ask_at_once_one_leads(engine: sa.Engine, database_url: str, existing: bool) -> None:
    if existing:
        take(engine, "old", NOW - 2 * LIFETIME)
    together = threading.Barrier(6, timeout=30)

    def ask(number: int) -> bool:
        own = make_engine(database_url)
        together.wait()
        fence = take(own, f"holder {number}")
        own.dispose()
        return fence is not None

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(ask, range(6))) == 1


@pytest.mark.parametrize(("dead", "led"), [("a", True), ("b", False), ("", False)])
def test_lease_of_a_dead_holder_is_free_at_once(engine: sa.Engine, dead: str, led: bool) -> None:
    first = taken(take(engine, "a"))
    with writing(engine) as session:
        release_dead(session, "worker", NOW, lambda holder: holder == dead)
    assert (take(engine, "c", NOW) is not None) is led
    assert keep(engine, first, NOW) is not led


def test_a_lease_that_nobody_took_has_no_dead_holder(engine: sa.Engine) -> None:
    with writing(engine) as session:
        release_dead(session, "worker", NOW, lambda holder: True)
    assert take(engine, "a") == Fence("worker", "a", 1)
