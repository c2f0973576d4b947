"""Where the origin does not answer, or answers with bad bytes, any peer will do: the signature decides (section 7)."""

import datetime as dt
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode

HELD = 100
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def origin(network: SimulatedNetwork) -> SimulatedNode:
    origin = network.add("RS")
    origin.grow(HELD)
    return origin


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork, origin: SimulatedNode) -> Follower:
    """Follows RS, which it holds, and MK and AL, which will relay it."""
    network.add("MK")
    network.add("AL")
    follower = make_follower(engine, network)
    assert {result.result for result in follower.pull_all().values()} == {"ok"}
    follower.pass_time(HOUR)
    return follower


def relay(network: SimulatedNetwork, name: str, origin: SimulatedNode) -> SimulatedNode:
    """A copy of the origin as it is now, at the node ``name``."""
    copy = origin.copy()
    network.nodes[f"https://{name}.example"].relayed[origin.participant] = copy
    return copy


LIES: dict[str, Callable[[SimulatedNode], None]] = {
    "alters a header": lambda copy: copy.tamper_with_header(105),
    "alters a payload": lambda copy: copy.tamper_with_payload(105),
    "withholds a payload": lambda copy: copy.withhold_payload(105),
    "sends too few": lambda copy: setattr(copy, "page_lie", lambda start, entries: entries[:3]),
    "sends nonsense": lambda copy: setattr(copy, "page_lie", lambda start, entries: b"nonsense"),
    "shows nonsense": lambda copy: setattr(copy, "checkpoint_token", b"nonsense"),
    "signs itself": lambda copy: setattr(copy, "signing_key", None) or copy.rotate_operating_key("mk operating"),
    "shows an older log": lambda copy: copy.roll_back_to(50),
    "invents a fork": lambda copy: copy.rotate_operating_key("mk operating") or copy.rewrite(50),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_c45_lying_mirror_is_passed_over(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, lie: Callable[[SimulatedNode], None]
) -> None:
    origin.grow(10)
    for name in ("mk", "al"):  # whichever is asked first lies once
        copy = relay(network, name, origin)
        if name == "mk":
            lie(copy)
    origin.online = False
    result = follower.pull("RS")
    assert (result.result, result.source, result.entries) == ("ok", "https://al.example", 10)
    assert follower.head("RS").disputed is None
    follower.check_holds(origin)


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_lying_mirror_alone_brings_nothing(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, lie: Callable[[SimulatedNode], None]
) -> None:
    origin.grow(10)
    lie(relay(network, "mk", origin))
    origin.online = False
    before = follower.snapshot("RS")
    assert follower.pull("RS").result != "ok"
    assert follower.snapshot("RS") == before
    assert follower.head("RS").disputed is None
    origin.online = True
    assert follower.pull("RS").result == "ok"
    follower.check_holds(origin)


@pytest.mark.parametrize("code", ["unreachable", "timeout", "bad_response", "redirect_refused", "too_large"])
def test_bad_pages_of_the_origin_are_taken_from_a_peer(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, code: str
) -> None:
    origin.grow(10)
    relay(network, "al", origin)
    network.fail("rs.example/federation/v1/logs/RS/entries", code)
    result = follower.pull("RS")
    assert (result.result, result.source, result.entries) == ("ok", "https://al.example", 10)
    assert follower.head("RS").checked_at == follower.now  # the origin itself showed the checkpoint


@pytest.mark.parametrize("lie", ["tamper_with_header", "tamper_with_payload", "withhold_payload"])
def test_lying_pages_of_the_origin_are_taken_from_a_peer(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, lie: str
) -> None:
    origin.grow(10)
    relay(network, "al", origin)
    getattr(origin, lie)(105)
    result = follower.pull("RS")
    assert (result.result, result.source) == ("ok", "https://al.example")
    follower.check_holds(origin)


def test_relayed_data_arrive_without_the_origins_word_that_they_are_newest(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    checked_at = follower.head("RS").checked_at
    origin.grow(10)
    relay(network, "al", origin)
    origin.online = False
    assert follower.pull("RS").result == "ok"
    assert follower.head("RS").checked_at == checked_at
    status = follower.status("RS")
    assert (status.last_result, status.source) == ("ok", "https://al.example")
    assert status.retry_at == follower.now + dt.timedelta(minutes=1)  # the origin itself is asked again soon


def test_expiry_of_a_relayed_checkpoint_refuses_nothing_and_shows_as_stale(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    origin.grow(10)
    copy = relay(network, "al", origin)
    copy.freeze()
    follower.pass_time(dt.timedelta(days=4))
    origin.online = False
    result = follower.pull("RS")
    assert (result.result, result.entries) == ("ok", 10)
    assert follower.state("RS") == "stale"


def test_nothing_newer_at_a_peer_confirms_what_is_held(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    relay(network, "al", origin)
    origin.online = False
    result = follower.pull("RS")
    assert (result.result, result.entries, result.source) == ("ok", 0, "https://al.example")


def test_no_peer_has_it(follower: Follower, origin: SimulatedNode) -> None:
    origin.online = False
    before = follower.snapshot("RS")
    result = follower.pull("RS")
    assert (result.result, result.source) == ("unreachable", None)
    assert follower.snapshot("RS") == before
    assert follower.state("RS") == "failing"


def test_two_signed_histories_are_a_fork_wherever_the_second_came_from(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    copy = relay(network, "al", origin)
    copy.rewrite(50)
    origin.online = False
    assert follower.pull("RS").result == "fork"
    assert follower.head("RS").disputed == copy.served_checkpoint().decode()


def test_rewritten_longer_history_from_a_peer_is_a_fork(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    copy = relay(network, "al", origin)
    copy.rewrite(50)
    copy.grow(5)
    origin.online = False
    before = follower.snapshot("RS")
    assert follower.pull("RS").result == "fork"
    assert follower.snapshot("RS") == before


def test_refused_checkpoint_at_the_origin_is_not_smoothed_over_by_peers(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    origin.grow(10)
    relay(network, "al", origin)
    origin.roll_back_to(50)
    assert follower.pull("RS").result == "rollback"
    assert follower.head("RS").size == HELD + 10  # and yet what a peer holds of it is taken
    assert follower.state("RS") == "withholding"


def test_peers_that_are_trusted_no_more_are_not_asked(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    origin.grow(10)
    relay(network, "al", origin)
    network.anchor.not_listed.add("https://al.example")
    follower.pull_all(["MK"])
    origin.online = False
    network.forget_requests()
    assert follower.pull("RS").result == "unreachable"
    assert network.asked("al.example/federation/v1/logs/RS") == 0


def test_first_contact_through_a_peer(engine: sa.Engine, network: SimulatedNetwork, origin: SimulatedNode) -> None:
    """Under an anchor the statement vouches, and a peer has configuration and log."""
    network.add("AL")
    relay(network, "al", origin)
    origin.online = False
    follower = make_follower(engine, network)
    follower.pull_all(["AL"])
    result = follower.pull_all()["RS"]
    assert (result.result, result.source, result.entries) == ("ok", "https://al.example", HELD)
    follower.check_holds(origin)


def test_time_for_asking_relays_is_bounded(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    origin.online = False
    network.forget_requests()
    assert follower.limited(relay_seconds=0, gossip_peers=0).pull("RS").result == "unreachable"
    assert network.asked("mk.example") + network.asked("al.example") == 0
