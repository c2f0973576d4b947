"""What a process looks after while it runs: clock, own log, instance, each again until it succeeds."""

import datetime as dt
import email.utils
import itertools
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.encoding import dump_json
from federation.own_node import OwnNode, accept_clock, hold_back, load_own_node
from sync.clock_watch import ClockWatch
from sync.instance import load_instance
from sync.jobs import make_timetable, run_job
from sync.node_watch import INSTANCE_SECONDS, LOOK_SECONDS, NodeWatch
from sync.processes import begin_process, load_processes
from sync.transport import JSON, Response
from tests.simulators.follower import Follower, make_follower, pin
from tests.simulators.network import SimulatedNetwork, answer
from tests.simulators.node_simulator import NOW
from tests.waiting import eventually

SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


class Process:
    """A process of the node whose clocks stand until the test moves them."""

    def __init__(self, here: Follower, kind: str = "worker", active: bool = True) -> None:
        self.here = here
        self.wall, self.running = NOW, 1000.0
        self.name = begin_process(here.engine, kind, NOW)
        clock = ClockWatch(lambda: self.wall, lambda: self.running)
        self.watch = NodeWatch(here.node, self.name, kind, active=active, clock=clock, monotonic=lambda: self.running)

    def tick(self, seconds: float = LOOK_SECONDS) -> None:
        self.wall += seconds * SECOND
        self.running += seconds
        self.watch.tick()

    def tick_until(self, wanted: OwnNode) -> None:
        """Let time pass, a second at a time, until the database says so."""

        def reached() -> bool:
            self.tick(1)
            return load(self.here) == wanted

        eventually(reached, 30, pause=0.01)

    def settle(self) -> None:
        """Let what was begun in the background end."""
        task = self.watch._task
        if task is not None:
            task.result(30)


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def here(engine: sa.Engine, network: SimulatedNetwork) -> Follower:
    follower = make_follower(engine, network)
    for code in ("RS", "MK"):
        pin(follower, network.add(code, enrolled=False))
    return follower


@pytest.fixture
def process(here: Follower) -> Iterator[Process]:
    process = Process(here)
    yield process
    process.watch.close()


def load(here: Follower) -> OwnNode:
    with reading(here.engine) as session:
        return load_own_node(session)


def set_clocks(network: SimulatedNetwork, process: Process, ahead: dt.timedelta = dt.timedelta(0)) -> None:
    """What the peers' clocks show: always the process's own time and so much more."""

    def healthz(url: str) -> Response:
        date = email.utils.format_datetime(process.wall + ahead, usegmt=True)
        return Response(200, JSON, b"{}", {"date": date})

    for code in ("rs", "mk"):
        network.faults[f"{code}.example/healthz"] = healthz


def test_at_the_start_the_own_log_is_compared_and_released(here: Follower, process: Process) -> None:
    assert load(here).held_back == "starting"
    process.tick_until(OwnNode())


def test_after_a_restore_it_asks_again_with_growing_pauses(
    here: Follower, process: Process, network: SimulatedNetwork
) -> None:
    with writing(here.engine) as session:
        hold_back(session, "restored")
    network.fail("/federation/", "timeout")
    asked = []
    for second in range(40):
        network.forget_requests()
        process.tick(1)
        process.settle()
        if network.asked("/federation/"):
            asked.append(second)
    assert [later - earlier for earlier, later in itertools.pairwise(asked)] == [1, 2, 4, 8, 16]
    assert load(here).held_back == "restored"
    network.faults.clear()
    process.tick_until(OwnNode())


def test_a_jump_is_confirmed_by_the_peers_and_the_log_compared_again(
    here: Follower, process: Process, network: SimulatedNetwork
) -> None:
    process.tick_until(OwnNode())
    set_clocks(network, process)
    process.wall += 8 * HOUR  # the machine was suspended for a night
    process.tick()
    own = load(here)
    assert own.held_back == "clock"
    assert str(own.clock_refused).startswith("jumped: ")
    eventually(lambda: (process.tick(1), load(here).held_back is None)[1], 30, pause=0.01)
    assert load(here).clock_refused is None


def test_a_request_right_after_the_machine_was_resumed_signs_nothing(here: Follower, process: Process) -> None:
    process.tick_until(OwnNode())
    process.watch.look_before_signing()
    assert load(here) == OwnNode()
    process.wall += 8 * HOUR
    process.watch.look_before_signing()
    assert str(load(here).clock_refused).startswith("jumped: ")


def test_peers_that_say_otherwise_leave_it_refused(here: Follower, process: Process, network: SimulatedNetwork) -> None:
    process.tick_until(OwnNode())
    set_clocks(network, process, -DAY)
    process.wall += DAY
    for _ in range(20):
        process.tick(1)
        process.settle()
    assert str(load(here).clock_refused).startswith("jumped: ")
    process.wall -= DAY
    process.tick_until(OwnNode())


def test_only_the_active_one_asks_the_peers_for_the_time(here: Follower, network: SimulatedNetwork) -> None:
    process = Process(here, "serve", active=False)
    set_clocks(network, process)
    process.tick_until(OwnNode())
    process.wall += DAY
    network.forget_requests()
    for _ in range(5):
        process.tick(1)
        process.settle()
    assert network.asked("/healthz") == 0
    assert load(here).clock_refused is not None
    process.watch.close()


def test_a_confirmation_is_forgotten_when_it_says_nothing_more(here: Follower, process: Process) -> None:
    process.tick_until(OwnNode())
    with writing(here.engine) as session:
        accept_clock(session, process.wall)
    process.tick(1800)
    assert load(here).clock_accepted_at is not None
    process.tick(1801)
    assert load(here).clock_accepted_at is None


def test_each_start_and_each_hour_has_an_instance(here: Follower, process: Process, engine: sa.Engine) -> None:
    seen = set()
    for seconds in (1, 1, INSTANCE_SECONDS, 1, INSTANCE_SECONDS, 1):
        process.tick(seconds)
        process.settle()
        with reading(engine) as session:
            seen.add(load_instance(session))
    assert len(seen) == 4  # before the comparison, after it, and twice an hour later


def test_a_node_that_runs_elsewhere_too_says_so(here: Follower, process: Process, network: SimulatedNetwork) -> None:
    body = dump_json({"status": "ok", "participant": "ME", "instance": "f" * 43})
    network.faults["me.example/healthz"] = lambda url: answer(body, JSON)
    other = Process(here, "serve", active=False)
    process.tick()
    process.settle()
    assert "another database" in str(process.watch.elsewhere)
    assert load(here).held_back == "elsewhere"
    other.tick()
    assert other.watch.elsewhere is not None
    other.watch.close()


def test_it_gives_signs_of_life(here: Follower, process: Process, engine: sa.Engine) -> None:
    for _ in range(20):
        process.tick(30)
    with reading(engine) as session:
        assert [row.name for row in load_processes(session, process.wall)] == [process.name]


def test_a_failure_in_the_background_is_said_and_tried_again(
    here: Follower, process: Process, engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE instance RENAME TO away")
    process.tick()
    process.settle()
    assert "looking after this node" in caplog.text
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO instance")
    process.tick_until(OwnNode())


def test_an_hour_forward_while_the_scheduler_waits_loses_no_run(
    here: Follower, process: Process, network: SimulatedNetwork
) -> None:
    """F14: the clock was wrong and is set right; the night that it leaps over is made up for."""
    process.tick_until(OwnNode())
    job = next(job for job in make_timetable(here.node) if job.name == "nightly-pull")
    assert run_job(here.node, job, process.wall, None)
    set_clocks(network, process)
    process.wall += DAY + HOUR
    process.tick()
    assert load(here).clock_refused is not None
    assert run_job(here.node, job, process.wall, None), "late, and not left out"
    eventually(lambda: (process.tick(1), load(here).held_back is None)[1], 30, pause=0.01)
    assert load(here).clock_refused is None
