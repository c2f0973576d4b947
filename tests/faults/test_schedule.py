"""F13, F14, F15, F19: nights of clock changes, clocks that step, a silent month, a scheduler that is killed or paused.

Whatever happens to the clock or the process, each night has one run, and what a paused worker writes late is refused.
"""

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import make_engine, reading
from sync.jobs import load_successes, make_timetable, run_job
from sync.lease import LIFETIME
from sync.node import Node, NodeSettings
from tests.faults.injection import ROOT
from tests.faults.leader import grown_network
from tests.simulators.follower import Follower, make_follower, pin
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, SimulatedNode, named_identity

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
NIGHTS = [dt.date(2026, 3, 29), dt.date(2026, 10, 25)]


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """SQLite alone: what is tried here does not touch the database's own ways."""
    path = tmp_path / "nights.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


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


@pytest.fixture(params=["Europe/Paris", "UTC", "America/New_York"])
def time_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def nightly(follower: Follower, now: dt.datetime) -> bool:
    """Whether the nightly pull was due, and done."""
    job = next(job for job in make_timetable(follower.node) if job.name == "nightly-pull")
    return run_job(follower.node, job, now, None)


@pytest.mark.parametrize("date", NIGHTS, ids=str)
def test_f13_night_of_a_clock_change_has_one_run(
    follower: Follower, network: SimulatedNetwork, time_zone: str, date: dt.date
) -> None:
    before = dt.datetime.combine(date, dt.time(), dt.UTC) - 8 * HOUR
    network.fail("", "unreachable")  # whether somebody answers is another matter
    assert nightly(follower, before)
    runs = [now for step in range(24 * 2) if nightly(follower, now := before + step * 30 * MINUTE)]
    assert len(runs) == 1
    assert runs[0].date() == date
    assert nightly(follower, runs[0] + DAY)


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=str)
def test_f14_step_of_the_clock_skips_no_night_and_doubles_none(
    follower: Follower, network: SimulatedNetwork, step: dt.timedelta
) -> None:
    network.fail("", "unreachable")
    start = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    assert nightly(follower, start)
    true_time = [start + number * 30 * MINUTE for number in range(24 * 2)]
    stepped = [now if now.hour < 23 and now.day == 21 else now + step for now in true_time]
    runs = [now for now in stepped if nightly(follower, now)]
    assert len(runs) == 1


def test_f15_month_of_silence_with_three_rotations_is_caught_up_in_one_run(
    engine: sa.Engine, network: SimulatedNetwork
) -> None:
    origin = network.add("MK", enrolled=False)
    origin.grow(200)
    follower = make_follower(engine, network)
    pin(follower, origin)
    assert follower.pull("MK").result == "ok"
    shown = follower.records("MK")
    origin.online = False
    for _ in range(30):
        follower.pass_time(DAY)
        assert follower.pull("MK").result in {"unreachable", "timeout"}
        assert follower.records("MK") == shown
    assert follower.state("MK") in {"stale", "failing"}
    origin.online = True
    for number in range(3):
        origin.rotate_federation_key(f"mk federation {number}")
        origin.rotate_operating_key(f"mk operating {number}")
    origin.now += dt.timedelta(seconds=1)
    origin.renew_configuration()
    origin.chain.append(origin.configuration())
    origin.grow(5_000)
    follower.pass_time(MINUTE)
    result = follower.pull("MK")
    assert (result.result, result.entries, result.detail) == ("ok", 5_000, None)
    follower.check_holds(origin)
    assert follower.state("MK") == "fresh"


class Leader:
    """A process that leads, to be killed, stopped and woken."""

    def __init__(self, database: str, now: dt.datetime, paused_at: str = "") -> None:
        command = [sys.executable, "-m", "tests.faults.leader", database, now.isoformat(), paused_at]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> str:
        """Let it go on, and give its last words."""
        words, _ = self.process.communicate("go on\n", timeout=60)
        return words.strip()


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> str:
    """A node that trusts the anchor of every simulated network."""
    path = tmp_path / "veza.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine = make_engine(f"sqlite:///{path}")
    make_follower(engine, SimulatedNetwork())
    engine.dispose()
    return f"sqlite:///{path}"


@pytest.fixture
def stood(database: str) -> Iterator[Follower]:
    """What stands in that database."""
    own, (network, _) = named_identity("ME"), grown_network()
    engine = make_engine(database)
    yield Follower(Node(engine, lambda: own, network, NodeSettings()), network)
    engine.dispose()


def success(follower: Follower) -> dt.datetime | None:
    with reading(follower.engine) as session:
        return load_successes(session).get("nightly-pull")


LATER = NOW + 2 * LIFETIME


@pytest.mark.parametrize("at", ["start", "/entries?start=256"])
def test_f19_killed_scheduler_is_replaced_and_the_night_has_one_run(database: str, stood: Follower, at: str) -> None:
    first = Leader(database, NOW, at)
    assert first.says() == "paused"
    assert Leader(database, NOW + MINUTE / 4).end() == "another leads"
    first.signal(signal.SIGKILL)
    assert first.process.wait() == -signal.SIGKILL
    first.end()
    assert success(stood) is None
    assert Leader(database, LATER).end() == "done True"
    assert success(stood) == LATER
    assert Leader(database, LATER + 2 * LIFETIME).end() == "done False"
    stood.check_holds(grown_network()[1])


@pytest.mark.parametrize("at", ["start", "/entries?start=256"])
def test_stopped_worker_that_wakes_up_late_writes_nothing(database: str, stood: Follower, at: str) -> None:
    first = Leader(database, NOW, at)
    assert first.says() == "paused"
    first.signal(signal.SIGSTOP)
    assert Leader(database, LATER).end() == "done True"
    state, status = stood.snapshot("RS"), stood.status("RS")
    assert success(stood) == LATER
    first.signal(signal.SIGCONT)
    assert first.end() in {"lost", "done False"}
    assert (stood.snapshot("RS"), stood.status("RS"), success(stood)) == (state, status, LATER)
    stood.check_holds(grown_network()[1])
