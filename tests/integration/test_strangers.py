"""Nodes and keys that are not known yet: the worker asks about them, seldom, and only who can be believed."""

import datetime as dt

import pytest
import sqlalchemy as sa

from directory.database import reading
from federation.participants import load_participant
from sync.express import Express
from sync.pull import pull_newcomers
from sync.strangers import note_unknown_reader
from sync.wanted import NEWCOMERS, load_wanted
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode
from tests.waiting import eventually

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def network() -> SimulatedNetwork:
    network = SimulatedNetwork()
    network.add("RS").grow(3)
    return network


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork) -> Follower:
    follower = make_follower(engine, network)
    assert follower.pull_all()["RS"].result == "ok"
    follower.pass_time(2 * MINUTE)
    return follower


@pytest.fixture
def newcomer(network: SimulatedNetwork, follower: Follower) -> SimulatedNode:
    newcomer = network.add("MK")
    newcomer.grow(2)
    return newcomer


def wanted(follower: Follower) -> dict[str, str]:
    with reading(follower.engine) as session:
        return load_wanted(session)


def note(follower: Follower, entity_id: str) -> None:
    note_unknown_reader(follower.node, entity_id, follower.now)


def test_a_newcomer_is_bound_and_pulled_alone(
    follower: Follower, newcomer: SimulatedNode, network: SimulatedNetwork
) -> None:
    network.forget_requests()
    (result,) = pull_newcomers(follower.node, follower.now)
    assert (result.participant, result.result, result.size) == ("MK", "ok", 2)
    assert network.asked("/logs/RS/") == 0


def test_who_left_is_trusted_no_more(follower: Follower, network: SimulatedNetwork) -> None:
    network.anchor.enrolled.clear()
    assert pull_newcomers(follower.node, follower.now) == []
    with reading(follower.engine) as session:
        left = load_participant(session, "RS")
    assert left is not None
    assert left.ended_at is not None


def test_a_silent_anchor_brings_nobody_and_ends_nothing(follower: Follower, network: SimulatedNetwork) -> None:
    network.anchor.online = False
    assert pull_newcomers(follower.node, follower.now) == []
    assert follower.pull("RS").result == "ok"


def test_an_unknown_reader_makes_the_worker_ask_the_anchor(follower: Follower, newcomer: SimulatedNode) -> None:
    note(follower, newcomer.entity_id)
    assert set(wanted(follower)) == {NEWCOMERS}
    express = Express(follower.node, lambda: follower.now)
    try:
        express.tick(None)
        eventually(lambda: not wanted(follower))
    finally:
        express.close()
    assert follower.head("MK").size == 2


def test_the_anchor_is_asked_once_a_minute_at_most(follower: Follower) -> None:
    pull_newcomers(follower.node, follower.now)
    note(follower, "https://nobody.example")
    assert wanted(follower) == {}
    follower.pass_time(MINUTE)
    note(follower, "https://nobody.example")
    assert set(wanted(follower)) == {NEWCOMERS}


def test_an_unknown_key_of_a_known_reader_makes_the_worker_fetch_its_configuration(
    follower: Follower, network: SimulatedNetwork
) -> None:
    with reading(follower.engine) as session:
        known = load_participant(session, "RS")
    assert known is not None
    note(follower, known.entity_id)
    assert set(wanted(follower)) == {"RS"}


def test_the_own_address_and_no_anchor_give_nothing_to_ask(engine: sa.Engine) -> None:
    lonely = make_follower(engine, SimulatedNetwork())
    note(lonely, lonely.node.identity.entity_id)
    assert wanted(lonely).keys() <= {NEWCOMERS}
