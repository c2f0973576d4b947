"""The worker: one leader, jobs once per appointed time, catching up after a stop (abuse.md F13, F14, F19)."""

import datetime as dt
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from directory.store import keep_rota_version, load_rota_versions
from federation.log import read_entries
from federation.own_node import refuse_clock
from federation.publishing import PendingChange, publish
from federation.statements import read_configuration
from sync.jobs import load_successes, make_timetable, run_job
from sync.lease import LIFETIME, acquire
from sync.node import NodeSettings
from sync.timetable import LEASE, RENEW_EVERY, Worker, run_worker
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, SimulatedNode, duty_officer

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def peer(network: SimulatedNetwork) -> SimulatedNode:
    peer = network.add("RS")
    peer.grow(3)
    return peer


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork, peer: SimulatedNode) -> Follower:
    return make_follower(engine, network)


def run(follower: Follower, name: str) -> bool:
    """Do one job at the follower's time; whether it was due."""
    job = next(job for job in make_timetable(follower.node) if job.name == name)
    return run_job(follower.node, job, follower.now, None)


class TestNightlyPull:
    def test_never_done_is_due_at_once(self, follower: Follower, peer: SimulatedNode) -> None:
        assert run(follower, "nightly-pull")
        follower.check_holds(peer)

    def test_done_is_not_due_again_before_the_next_night(self, follower: Follower) -> None:
        runs = []
        for _ in range(72):
            runs.append(run(follower, "nightly-pull"))
            follower.pass_time(HOUR)
        assert sum(runs) == 4  # at the start, and in each of three nights

    def test_night_that_was_missed_is_made_up_for_once(self, follower: Follower) -> None:
        run(follower, "nightly-pull")
        follower.pass_time(10 * DAY)
        assert [run(follower, "nightly-pull") for _ in range(3)] == [True, False, False]

    def test_participant_that_fails_does_not_make_the_night_due_again(
        self, follower: Follower, peer: SimulatedNode
    ) -> None:
        peer.online = False
        assert run(follower, "nightly-pull")
        assert not run(follower, "nightly-pull")

    def test_run_that_was_given_up_half_way_is_due_again(
        self, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        node = replace(follower.node, stopping=threading.Event())
        network.faults["/entries"] = lambda url: node.stopping.set()  # type: ignore[func-returns-value]
        run(Follower(node, network, follower.now), "nightly-pull")
        with reading(follower.engine) as session:
            assert load_successes(session).get("nightly-pull") is None
        network.faults.clear()
        assert run(follower, "nightly-pull")
        follower.check_holds(peer)


class TestRetries:
    """T14: pauses from a minute to a day, whatever the other node says about when to come back."""

    def test_failing_participant_is_asked_with_growing_pauses(
        self, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        follower.pull_all()
        network.fail("//rs.example", "timeout")
        run(follower, "nightly-pull")
        begin, attempts = follower.now, []
        while follower.now - begin < dt.timedelta(hours=5):
            network.forget_requests()
            follower.now += MINUTE
            run(follower, "retries")
            if network.asked("//rs.example"):
                attempts.append(round((follower.now - begin) / MINUTE))
        assert attempts == [1, 3, 7, 15, 31, 63, 127, 255]

    def test_healed_participant_is_no_longer_asked(
        self, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        network.fail("//rs.example", "unreachable", times=2)
        run(follower, "nightly-pull")
        follower.pass_time(MINUTE)
        run(follower, "retries")
        follower.check_holds(peer)
        network.forget_requests()
        follower.pass_time(DAY / 2)
        run(follower, "retries")
        assert network.requests == []

    def test_log_that_contradicts_what_is_held_is_not_asked_again_blindly(
        self, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        follower.pull_all()
        peer.roll_back_to(1)
        assert follower.pull("RS").result == "rollback"
        network.forget_requests()
        follower.pass_time(DAY)
        run(follower, "retries")
        assert network.requests == []


class TestRenewals:
    def test_checkpoint_is_renewed_before_it_is_an_hour_old(self, follower: Follower) -> None:
        seen = set()
        for _ in range(180):
            run(follower, "checkpoint")
            issued_at = follower.head("ME").issued_at
            assert issued_at is not None
            assert follower.now - issued_at < HOUR
            seen.add(issued_at)
            follower.now += MINUTE
        assert len(seen) == 4

    def test_configuration_is_renewed_daily_and_keeps_what_it_says(self, follower: Follower) -> None:
        follower = Follower(
            replace(follower.node, settings=NodeSettings(name="Node", contacts=("desk@node.example",))),
            follower.network,
            follower.now,
        )
        before = follower.snapshot("ME").configuration
        run(follower, "configuration")
        assert follower.snapshot("ME").configuration == before
        follower.now += DAY
        run(follower, "configuration")
        renewed = follower.snapshot("ME").configuration
        assert renewed != before
        assert renewed is not None
        assert read_configuration(renewed).authority_hints == (follower.network.anchor.entity_id,)
        assert read_configuration(renewed).name == "Node"

    def test_federation_key_kept_offline_renews_nothing(self, follower: Follower) -> None:
        identity = replace(follower.node.identity, federation_key=None)
        node = replace(follower.node, load_identity=lambda: identity)
        offline = Follower(node, follower.network, follower.now + 3 * DAY)
        before = follower.snapshot("ME").configuration
        run(offline, "configuration")
        assert follower.snapshot("ME").configuration == before

    def test_clock_that_went_back_signs_nothing(self, follower: Follower) -> None:
        before = follower.head("ME")
        follower.now -= DAY
        run(follower, "checkpoint")
        assert follower.head("ME") == before


class TestErasure:
    def test_superseded_payload_is_erased_after_an_hour(self, follower: Follower, engine: sa.Engine) -> None:
        for number in (1, 2):
            with writing(engine) as session:
                change = PendingChange("member/m-1", "put", duty_officer(number))
                publish(session, follower.node.identity, [change], follower.now)
        for passed, erased in ((HOUR - MINUTE, False), (MINUTE, True)):
            follower.now += passed
            run(follower, "erasure")
            with reading(engine) as session:
                first = read_entries(session, "ME", 0, 1)[0]
            assert (first.payload is None) is erased
        follower.check_logs()

    def test_old_rota_versions_are_dropped(self, follower: Follower, engine: sa.Engine) -> None:
        rota = {"unit": "desk", "time_zone": "UTC", "layers": []}
        with writing(engine) as session:
            keep_rota_version(session, "rota/r-1", 1, rota, NOW, NOW)
        assert run(follower, "housekeeping")
        with reading(engine) as session:
            assert len(load_rota_versions(session, "rota/r-1")) == 1
        follower.now += dt.timedelta(days=397)
        assert run(follower, "housekeeping")
        with reading(engine) as session:
            assert load_rota_versions(session, "rota/r-1") == []


class Hand:
    """A worker whose clock stands until the test moves it."""

    def __init__(self, follower: Follower, holder: str) -> None:
        self.now = follower.now
        self.worker = Worker(replace(follower.node, stopping=threading.Event()), lambda: self.now, holder)

    def tick(self, after: dt.timedelta = RENEW_EVERY) -> bool:
        """Let time pass and tick; whether it leads then."""
        self.now += after
        self.worker.tick()
        return self.worker.leads


@pytest.fixture
def hands(follower: Follower) -> Iterator[list[Hand]]:
    hands = [Hand(follower, "first"), Hand(follower, "second")]
    yield hands
    for hand in hands:
        hand.worker.close()


class TestLeading:
    def test_one_of_two_leads(self, hands: list[Hand]) -> None:
        for _ in range(10):
            assert [hand.tick() for hand in hands] == [True, False]

    def test_second_leads_when_the_first_ends(self, hands: list[Hand]) -> None:
        first, second = hands
        assert [first.tick(), second.tick()] == [True, False]
        first.worker.close()
        assert second.tick()

    def test_second_leads_when_the_first_stalls_and_the_first_notices(self, hands: list[Hand]) -> None:
        first, second = hands
        assert [first.tick(), second.tick()] == [True, False]
        assert second.tick(2 * LIFETIME)
        assert not first.tick()
        assert second.tick()

    def test_leader_that_slept_past_its_lease_begins_a_new_epoch(self, hands: list[Hand], engine: sa.Engine) -> None:
        first, _ = hands
        first.tick()
        assert first.tick(3 * LIFETIME)
        assert first.worker._fence is not None
        assert first.worker._fence.epoch == 2

    def test_only_the_leader_does_jobs(self, hands: list[Hand], network: SimulatedNetwork, follower: Follower) -> None:
        first, second = hands
        second.worker.run("nightly-pull")
        assert network.requests == []
        first.tick()
        first.worker.run("nightly-pull")
        assert len(follower.records("RS")) == 3

    def test_clock_is_judged_before_a_job_signs(self, follower: Follower, engine: sa.Engine) -> None:
        def judge() -> None:
            with writing(engine) as session:
                refuse_clock(session, "jumped: this machine was resumed")

        before = follower.snapshot("ME")
        now = follower.now + 2 * HOUR
        worker = Worker(replace(follower.node, stopping=threading.Event()), lambda: now, before_job=judge)
        try:
            worker.tick()
            worker.run("checkpoint")
        finally:
            worker.close()
        assert follower.snapshot("ME") == before

    def test_database_that_fails_ends_no_worker(self, hands: list[Hand], engine: sa.Engine) -> None:
        first, _ = hands
        assert first.tick()
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE lease RENAME TO away")
        first.tick()
        first.worker.run("retries")
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO lease")
        assert first.tick()

    def test_lease_that_could_not_be_renewed_in_time_is_lost(self, hands: list[Hand], engine: sa.Engine) -> None:
        first, _ = hands
        first.tick()
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE lease RENAME TO away")
        assert first.tick()
        assert not first.tick(LIFETIME)
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO lease")

    def test_clock_that_went_back_does_not_stop_the_renewals(self, hands: list[Hand], engine: sa.Engine) -> None:
        first, _ = hands
        first.tick()
        assert first.tick(-HOUR)
        with reading(engine) as session:
            until = session.scalar(sa.text("SELECT count(*) FROM lease"))
        assert until == 1


class TestRunning:
    def wait_until(self, what: str, follower: Follower, size: int) -> None:
        """Until the worker, which runs on the machine's clock, has done its part."""
        ends = time.monotonic() + 60
        while follower.snapshot("RS").size != size:
            assert time.monotonic() < ends, f"{what} did not happen within a minute"
            threading.Event().wait(0.05)

    def test_start_catches_up_and_stop_ends_soon(self, follower: Follower, peer: SimulatedNode) -> None:
        stop = threading.Event()
        follower.network.set_time(dt.datetime.now(dt.UTC))
        worker = threading.Thread(target=run_worker, args=(follower.node, stop))
        worker.start()
        self.wait_until("the first pull", follower, 3)
        stop.set()
        worker.join(10)
        assert not worker.is_alive()
        with writing(follower.engine) as session:
            assert acquire(session, LEASE, "next", dt.datetime.now(dt.UTC)) is not None

    def test_stop_ends_soon_though_a_peer_hangs(
        self, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        stop, asked = threading.Event(), threading.Event()
        network.set_time(dt.datetime.now(dt.UTC))
        node = follower.node

        def hang(url: str) -> None:
            asked.set()
            node.stopping.wait(60)

        network.faults["//rs.example"] = hang  # type: ignore[assignment]
        worker = threading.Thread(target=run_worker, args=(node, stop))
        worker.start()
        assert asked.wait(60)
        stop.set()
        worker.join(10)
        assert not worker.is_alive()
        assert follower.snapshot("RS").size == 0
