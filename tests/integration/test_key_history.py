"""Following another node's keys: a year of rotations in one sync, and what a stolen or foreign key is worth."""

import datetime as dt
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.checkpoint import make_checkpoint
from federation.errors import FederationError
from federation.identity import Identity
from federation.keys import key_set
from federation.participants import bind_participant, key_warnings, load_configurations, load_participant
from sync.inbox import receive_statement
from sync.wanted import load_wanted
from tests.simulators.follower import Follower, make_follower
from tests.simulators.host import ENTITY_ID, Host, make_host, simulate, trust_the_anchor
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode, named_identity, named_key

DAY, SECOND = dt.timedelta(days=1), dt.timedelta(seconds=1)


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork) -> Follower:
    return make_follower(engine, network, named_identity("RS"))


@pytest.fixture
def host(sqlite_template: Path, tmp_path: Path, network: SimulatedNetwork) -> Host:
    """A real node's keys and configurations, in a database of its own."""
    (tmp_path / "host.db").write_bytes(sqlite_template.read_bytes())
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'host.db'}")
    sa.event.listen(engine, "connect", lambda connection, record: connection.execute("PRAGMA synchronous=OFF"))
    return make_host(engine, tmp_path, network)


def follow(follower: Follower, host: Host, trust: str) -> None:
    """Trust the host, by the anchor's word or by its pinned key, and sync with it for the first time."""
    if trust == "anchor":
        trust_the_anchor(host)
    else:
        with writing(follower.engine) as session:
            bind_participant(session, "ME", ENTITY_ID, "peering", host.configuration.federation_keys)
    simulate(host)
    assert follower.pull_all(["ME"])["ME"].result == "ok"


def rotate_for_a_year(host: Host, trust: str) -> None:
    """An operating key each week, a federation key each month, and the renewals between them."""
    for week in range(52):
        host.rotate()
        if week % 4 == 0 and week < 48:
            host.rotate_federation()
            if trust == "anchor":
                host.network.anchor.enrolled[ENTITY_ID] = ("ME", host.configuration.federation_keys)
                host.rotate_federation()
        host.pass_time(7 * DAY)
        host.keys.look_again()
        host.renew()


@pytest.mark.parametrize("trust", ["anchor", "peering"])
def test_a_year_of_rotations_is_followed_in_one_sync(follower: Follower, host: Host, trust: str) -> None:
    """C26: 12 federation keys and 52 operating keys while this node was away."""
    follow(follower, host, trust)
    first = host.configuration
    rotate_for_a_year(host, trust)
    host.check_whole()
    assert len(host.chain()) >= 24  # each key was listed, and its predecessor dropped
    shown = simulate(host)
    follower.pass_time(364 * DAY)
    shown.grow(3)
    result = follower.pull_all(["ME"])["ME"]
    assert (result.result, result.detail, result.size) == ("ok", None, 3)
    with reading(follower.engine) as session:
        node = load_participant(session, "ME")
        kept = load_configurations(session, "ME")
    assert node is not None
    assert node.configuration == host.configuration
    assert kept[0] == first
    assert first.federation_keys.keys().isdisjoint(host.configuration.federation_keys)
    if trust == "peering":
        assert len(kept) == 1 + len(host.chain()) - 1  # every hop is kept as the proof of the next
    follower.check_logs()


@pytest.mark.parametrize("hops", [256, 257])
def test_a_chain_has_an_end(follower: Follower, network: SimulatedNetwork, hops: int) -> None:
    origin = network.add("MK", enrolled=False)
    with writing(follower.engine) as session:
        key = origin.identity.federation_key
        assert key is not None
        bind_participant(session, "MK", origin.entity_id, "peering", key_set(key))
    assert follower.pull("MK").result == "ok"
    before = follower.snapshot("MK")
    for number in range((hops - 1) // 2):
        origin.rotate_federation_key(f"mk federation {number}")
    origin.chain += [origin.chain[-1]] * (hops - len(origin.chain))
    follower.pass_time(dt.timedelta(seconds=1000))
    result = follower.pull("MK")
    assert result.result == ("too_large" if hops > 256 else "ok")
    assert (follower.snapshot("MK") == before) == (hops > 256)


def test_a_stolen_former_key_signs_nothing_any_more(follower: Follower, host: Host) -> None:
    """C24: the time of receipt counts, not the ``iat``; what it signed before stays valid."""
    follow(follower, host, "peering")
    thief, held = host.keys.load(), follower.head("ME")
    host.pass_time(DAY)
    host.revoke(thief.operating_key.kid)
    simulate(host)
    follower.pass_time(DAY)
    receive_statement(follower.node, host.configuration.token.encode("ascii"), follower.now)
    before = follower.snapshot("ME")
    backdated = make_checkpoint(thief, held.size, held.root, held.issued_at or follower.now)
    with pytest.raises(FederationError) as refusal:
        receive_statement(follower.node, backdated.token.encode("ascii"), follower.now)
    assert refusal.value.code == "unknown_key"
    assert follower.snapshot("ME") == before
    follower.check_logs()


def forged(origin: SimulatedNode, **changes: object) -> bytes:
    return origin.sign_configuration(**changes).encode("ascii")


def test_a_key_that_only_itself_announces_is_unknown(follower: Follower, network: SimulatedNetwork) -> None:
    """C25, T16: whoever took over the address has no key that this node knows, with a chain or without."""
    origin = network.add("MK")
    assert follower.pull_all(["MK"])["MK"].result == "ok"
    before = follower.snapshot("MK")
    squatter = Identity("MK", origin.entity_id, named_key("squatter"), named_key("squatter operating"))
    origin.identity = squatter
    origin.now += SECOND
    origin.renew_configuration()
    for chain in ([], [origin.configuration()]):
        origin.chain = chain
        assert follower.pull("MK").result == "unknown_key"
        assert follower.snapshot("MK") == before
    with pytest.raises(FederationError, match="unknown_key"):
        receive_statement(follower.node, forged(origin), follower.now)
    assert follower.snapshot("MK") == before


def test_unknown_keys_ask_once_a_minute(follower: Follower, network: SimulatedNetwork) -> None:
    """C23: hundreds of checkpoints with keys that nobody knows cost one question."""
    origin = network.add("MK")
    assert follower.pull_all(["MK"])["MK"].result == "ok"
    follower.pass_time(dt.timedelta(minutes=2))
    network.forget_requests()
    honest = origin.identity
    for number in range(250):
        made = Identity("MK", origin.entity_id, honest.federation_key, named_key(f"unknown {number}"))
        token = make_checkpoint(made, 0, follower.head("MK").root, follower.now).token.encode("ascii")
        with pytest.raises(FederationError) as refusal:
            receive_statement(follower.node, token, follower.now)
        assert refusal.value.code == "unknown_key"
    assert network.requests == []
    with reading(follower.engine) as session:
        assert list(load_wanted(session)) == ["MK"]


def test_a_key_of_two_masters(follower: Follower, network: SimulatedNetwork) -> None:
    """C41: a federation key is one participant's; an operating key that two list is only worth a word."""
    for code in ("MK", "XK"):
        network.add(code)
        assert follower.pull_all([code])[code].result == "ok"
    mk, xk = (network.nodes[f"https://{code}.example"] for code in ("mk", "xk"))
    before = follower.snapshot("XK")
    honest = xk.identity
    xk.identity = Identity("XK", xk.entity_id, mk.identity.federation_key, honest.operating_key)
    network.anchor.enrol(xk)
    follower.pass_time(DAY)
    assert follower.pull_all(["XK"])["XK"].result in {"key_reused", "unknown_key"}
    assert follower.snapshot("XK") == before
    xk.identity = Identity(
        "XK", xk.entity_id, honest.federation_key, honest.operating_key, (mk.identity.operating_key,)
    )
    network.anchor.enrol(xk)
    assert {result.result for result in follower.pull_all().values()} == {"ok"}
    with reading(follower.engine) as session:
        assert key_warnings(session).keys() == {"MK", "XK"}
