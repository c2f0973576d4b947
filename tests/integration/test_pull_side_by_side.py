"""Several pulls at once: of one participant by several processes, of many participants by one (abuse.md T15)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from directory.database import make_engine
from sync.pull import pull_all
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode

CODES = [f"ORG{number}" for number in range(20)]


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def origin(network: SimulatedNetwork) -> SimulatedNode:
    origin = network.add("RS")
    origin.grow(300)
    return origin


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork, origin: SimulatedNode) -> Follower:
    follower = make_follower(engine, network)
    assert follower.pull_all()["RS"].result == "ok"
    return follower


def test_processes_that_pull_at_the_same_time_all_find_the_log_where_they_wanted_it(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, database_url: str
) -> None:
    origin.grow(300)
    start = threading.Barrier(3, timeout=30)
    waited = threading.local()

    def meet(url: str) -> None:
        """All have read what is held before anyone writes."""
        if not getattr(waited, "met", False):
            waited.met = True
            start.wait()

    network.faults["/logs/RS/checkpoint"] = meet  # type: ignore[assignment]

    def pull(number: int) -> tuple[str, int]:
        engine = make_engine(database_url)
        result = replace_engine(follower, engine).pull("RS")
        engine.dispose()
        return result.result, result.size

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(pull, range(3)))
    assert results == [("ok", 600)] * 3
    follower.check_holds(origin)


def replace_engine(follower: Follower, engine: sa.Engine) -> Follower:
    return Follower(replace(follower.node, engine=engine), follower.network, follower.now)


def test_head_that_another_process_moved_further_is_no_failure(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    """The other process applied even more: what this one fetched is dropped, and what is held is read anew."""
    origin.grow(5)
    other = follower.using(network)

    def overtake(url: str) -> None:
        network.faults.clear()
        origin.grow(5)
        assert other.pull("RS").entries == 10

    network.faults["/entries"] = overtake  # type: ignore[assignment]
    result = follower.pull("RS")
    assert (result.result, result.entries, result.size) == ("ok", 0, 310)
    follower.check_holds(origin)


def test_race_that_is_lost_again_and_again_is_given_up(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    other, overtaking = follower.using(network), threading.local()

    def overtake(url: str) -> None:
        if not getattr(overtaking, "now", False):
            overtaking.now = True
            origin.grow(2)
            other.pull("RS")
            overtaking.now = False

    origin.grow(1)
    network.faults["/entries"] = overtake  # type: ignore[assignment]
    network.faults["/checkpoint"] = lambda url: None if getattr(overtaking, "now", False) else origin.grow(1)  # type: ignore[func-returns-value]
    assert follower.pull("RS").result == "conflict"
    network.faults.clear()
    assert follower.pull("RS").result == "ok"
    follower.check_holds(origin)


def test_older_checkpoint_asked_for_before_another_process_advanced_is_no_rollback(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    """It is compared with what was held when it was asked for."""
    origin.freeze()
    other = follower.using(network)

    def advance(url: str) -> None:
        network.faults.clear()
        frozen, origin.checkpoint_token = origin.checkpoint_token, None
        origin.grow(5)
        assert other.pull("RS").entries == 5
        origin.checkpoint_token = frozen

    network.faults["/logs/RS/checkpoint"] = advance  # type: ignore[assignment]
    origin_now = origin.copy()
    result = follower.pull("RS")
    assert result.result in ("ok", "rollback")  # a rollback only because this origin goes on showing the old one
    assert follower.head("RS").size == origin_now.size + 5


@pytest.mark.parametrize("race", range(3))
def test_failing_participants_delay_no_other(engine: sa.Engine, network: SimulatedNetwork, race: int) -> None:
    for code in CODES:
        network.add(code).grow(2)
    hostile = dict(zip(CODES[race::5], ["timeout", "too_large", "bad_response", "redirect_refused"], strict=False))
    for code, fault in hostile.items():
        network.fail(f"//{code.lower()}.example/", fault)
    follower = make_follower(engine, network)
    told: list[str] = []
    results = pull_all(follower.node, follower.now, report=lambda result: told.append(result.participant))
    assert sorted(told) == sorted(CODES)
    assert {result.participant: result.result for result in results} == dict.fromkeys(CODES, "ok") | hostile


def test_participant_that_hangs_holds_no_other_back(
    engine: sa.Engine, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    """The others are done while one still waits for its answer."""
    for code in CODES[:6]:
        network.add(code).grow(1)
    follower = make_follower(engine, network)
    others_done = threading.Event()
    done: list[str] = []

    def tell(result: object) -> None:
        done.append(getattr(result, "participant", ""))
        if len(done) == 6:
            others_done.set()

    network.faults["//rs.example"] = lambda url: others_done.wait(30) and None  # type: ignore[func-returns-value]
    results = pull_all(follower.node, follower.now, report=tell)
    assert others_done.is_set()
    assert done[-1] == "RS"
    assert {result.result for result in results} == {"ok"}
