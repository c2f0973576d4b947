"""F17, F18 and partitions: real sockets through a proxy that loses, delays, slices and cuts. Slower, never wrong."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from directory.database import make_engine, writing
from federation.keys import key_set
from federation.log import create_log
from federation.own_configuration import renew_configuration
from federation.participants import bind_participant
from federation.publishing import renew_checkpoint
from sync.client import HttpTransport
from sync.node import Node, NodeSettings
from sync.pull import pull_participant
from sync.push import load_peers, load_pushed, load_statements, plan_pushes, record_outcomes, send_push
from sync.transport import Limits
from tests.simulators.follower import Follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode, named_identity
from tests.simulators.proxy import Proxy, Weather
from tests.simulators.served_network import ServedNode

SOON = Limits(token_seconds=0.8, page_seconds=2.0)


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as standing:
        yield standing


@pytest.fixture
def served(proxy: Proxy) -> Iterator[ServedNode]:
    """RS behind the proxy, with twenty entries."""
    with ServedNode("RS", proxy.url) as node:
        proxy.target = node.port
        node.node.grow(20)
        yield node


@pytest.fixture
def origin(served: ServedNode) -> SimulatedNode:
    return served.node


@pytest.fixture
def follower(sqlite_template: Path, tmp_path: Path, origin: SimulatedNode) -> Iterator[Follower]:
    """A node with a real HTTP client that has followed RS; RS has grown over three pages since."""
    path = tmp_path / "veza.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine, own = make_engine(f"sqlite:///{path}"), replace(named_identity("ME"), entity_id="http://127.0.0.1:2009")
    assert own.federation_key is not None
    assert origin.identity.federation_key is not None
    with writing(engine) as session:
        create_log(session, "ME", own=True)
        bind_participant(session, "ME", own.entity_id, "own", key_set(own.federation_key))
        renew_configuration(session, own, name="", now=utc_now())
        renew_checkpoint(session, own, utc_now())
        bind_participant(session, "RS", origin.entity_id, "peering", key_set(origin.identity.federation_key))
    settings = NodeSettings(insecure_urls=True, limits=SOON)
    node = Node(engine, lambda: own, HttpTransport(insecure_urls=True), settings)
    assert pull_participant(node, "RS", utc_now()).result == "ok"
    origin.grow(270)
    yield Follower(node, SimulatedNetwork())
    node.stop()
    engine.dispose()


def pull(follower: Follower) -> str:
    return pull_participant(follower.node, "RS", utc_now()).result


def check_unchanged_then_healed(
    follower: Follower, proxy: Proxy, origin: SimulatedNode, weather: Weather, codes: set[str]
) -> None:
    state = follower.snapshot("RS")
    proxy.weather = weather
    assert pull(follower) in codes
    assert follower.snapshot("RS") == state
    follower.check_logs()
    proxy.weather = Weather()
    assert pull(follower) == "ok"
    follower.check_holds(origin)


def test_f17_replies_that_are_lost_change_nothing(follower: Follower, proxy: Proxy, served: ServedNode) -> None:
    asked = len(served.asked)
    check_unchanged_then_healed(follower, proxy, served.node, Weather(loses_replies=True), {"timeout"})
    assert len(served.asked) > asked


def test_f17_push_whose_reply_is_lost_is_sent_again(follower: Follower, proxy: Proxy, served: ServedNode) -> None:
    def push(weather: Weather, now: dt.datetime) -> list[bytes]:
        proxy.weather = weather
        served.posted.clear()
        with writing(follower.engine) as session:
            peers, statements = load_peers(session, now), load_statements(session, "ME")
            due, _ = plan_pushes(peers, statements, load_pushed(session), now)
        outcomes = [outcome for each in due for outcome in send_push(follower.node, each)]
        with writing(follower.engine) as session:
            record_outcomes(session, outcomes, now)
        return list(served.posted)

    now = utc_now()
    first = push(Weather(loses_replies=True), now)
    again = push(Weather(), now + dt.timedelta(minutes=1))
    assert len(first) == 1, "it arrived, and the sender does not know"
    assert again[0] == first[0]
    assert len(again) == 2
    assert push(Weather(), now + dt.timedelta(minutes=2)) == []


@pytest.mark.parametrize(
    "weather",
    [
        Weather(latency=0.3),
        Weather(slice=7),
        Weather(rate=60_000, slice=512),
        Weather(latency=0.02, slice=700, rate=90_000),
    ],
    ids=["late", "sliced", "slow", "all of it"],
)
def test_f18_slower_and_never_wrong(follower: Follower, proxy: Proxy, origin: SimulatedNode, weather: Weather) -> None:
    proxy.weather = weather
    patient = follower.node.settings.limits
    settings = replace(follower.node.settings, limits=replace(patient, token_seconds=20.0, page_seconds=60.0))
    node = replace(follower.node, settings=settings)
    assert pull_participant(node, "RS", utc_now()).result == "ok"
    follower.check_holds(origin)


def test_f18_a_line_too_slow_for_a_page_ends_in_time(follower: Follower, proxy: Proxy, origin: SimulatedNode) -> None:
    check_unchanged_then_healed(follower, proxy, origin, Weather(rate=1_000, slice=64), {"timeout"})


def test_f18_connections_that_are_reset(follower: Follower, proxy: Proxy, origin: SimulatedNode) -> None:
    proxy.weather = Weather(reset_every=3)
    for _ in range(20):
        state = follower.snapshot("RS")
        result = pull(follower)
        if result == "ok":
            break
        assert follower.snapshot("RS") == state
    follower.check_holds(origin)


@pytest.mark.parametrize("after", [200, 1_500, 20_000])
def test_partition_in_the_middle_of_a_sync(follower: Follower, proxy: Proxy, origin: SimulatedNode, after: int) -> None:
    state = follower.snapshot("RS")
    proxy.weather = Weather(cut_after=after)
    result = pull(follower)
    held = follower.snapshot("RS")
    if result == "ok":
        follower.check_holds(origin)
    else:
        assert result in {"unreachable", "timeout", "bad_response", "bad_range"}
        assert held == state
    proxy.weather = Weather(partitioned=True)
    assert pull(follower) == "timeout"
    proxy.weather = Weather()
    assert pull(follower) == "ok"
    follower.check_holds(origin)
