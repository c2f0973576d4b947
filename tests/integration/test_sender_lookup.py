"""A message of a node that is not known: the anchor is asked first, seldom, and nothing else is dialled (section 2)."""

import datetime as dt

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.errors import FederationError
from federation.identity import Identity
from federation.messages import make_message, new_jti
from federation.participants import end_trust, load_by_entity
from federation.peering import pin, unpin
from federation.statements import make_configuration
from sync import strangers
from sync.message_inbox import receive_message
from sync.strangers import MOST_LOOKUPS, NO_IS_KEPT, look_up_sender
from sync.wanted import load_wanted
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, SimulatedNode, named_key

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork) -> Follower:
    return make_follower(engine, network)


@pytest.fixture
def newcomer(network: SimulatedNetwork) -> SimulatedNode:
    """A node that the anchor vouches for, and that this one has not heard of."""
    newcomer = network.add("MK")
    newcomer.grow(2)
    return newcomer


def nobody(number: int = 0) -> Identity:
    return Identity("BG", f"https://n{number}.example", named_key("n federation"), named_key("n operating"))


def post(follower: Follower, sender: Identity, type_: str = "contact.cancelled") -> str:
    """The answer to a message: a refusal's code (no type but peering is known yet)."""
    token = make_message(
        sender,
        audience=follower.node.identity.entity_id,
        jti=new_jti(),
        type_=type_,
        body={},
        now=follower.now,
    )
    try:
        receive_message(follower.node, token.encode(), follower.now)
    except FederationError as error:
        return error.code
    return "ok"


def strangers_kept(follower: Follower) -> int:
    with reading(follower.engine) as session:
        return int(session.execute(sa.text("SELECT count(*) FROM stranger")).scalar_one())


def test_a_newcomer_is_met_and_its_message_judged(
    follower: Follower, newcomer: SimulatedNode, network: SimulatedNetwork
) -> None:
    assert post(follower, newcomer.identity) == "bad_request", "it is known now: the type is what is wrong"
    with reading(follower.engine) as session:
        node = load_by_entity(session, newcomer.entity_id)
        assert set(load_wanted(session)) == {"MK"}
    assert node is not None
    assert (node.trust, node.is_trusted(follower.now)) == ("anchor", True)
    assert network.asked("/.well-known/") == 2, "the anchor's configuration and the node's"
    network.forget_requests()
    assert post(follower, newcomer.identity) == "bad_request"
    assert network.requests == []


def test_a_newcomers_name_under_a_foreign_key_is_not_believed(follower: Follower, newcomer: SimulatedNode) -> None:
    forged = Identity("MK", newcomer.entity_id, None, named_key("n operating"))
    assert post(follower, forged) == "unknown_key"


def test_a_no_is_kept_for_ten_minutes(follower: Follower, network: SimulatedNetwork) -> None:
    assert [post(follower, nobody()) for _ in range(3)] == ["unknown_participant"] * 3
    assert network.asked("/list") == 1
    follower.pass_time(NO_IS_KEPT - dt.timedelta(seconds=1))
    assert post(follower, nobody()) == "unknown_participant"
    assert network.asked("/list") == 1
    follower.pass_time(dt.timedelta(seconds=1))
    assert post(follower, nobody()) == "unknown_participant"
    assert network.asked("/list") == 2


def test_who_joins_meanwhile_is_known_when_the_no_is_over(follower: Follower, network: SimulatedNetwork) -> None:
    late = SimulatedNode(nobody())
    assert post(follower, late.identity) == "unknown_participant"
    network.nodes[late.entity_id] = late
    network.anchor.enrol(late)
    assert post(follower, late.identity) == "unknown_participant"
    follower.pass_time(NO_IS_KEPT)
    assert post(follower, late.identity) == "bad_request"


def test_only_the_anchor_is_dialled_for_who_is_not_listed(follower: Follower, network: SimulatedNetwork) -> None:
    evil = SimulatedNode(nobody())
    network.nodes[evil.entity_id] = evil
    post(follower, evil.identity)
    assert all(url.startswith(network.anchor.entity_id) for _, url in network.requests)


def test_one_that_is_vouched_for_and_not_listed_stays_unknown(
    follower: Follower, newcomer: SimulatedNode, network: SimulatedNetwork
) -> None:
    network.anchor.not_listed.add(newcomer.entity_id)
    assert post(follower, newcomer.identity) == "unknown_participant"
    assert network.asked("/fetch") == 0


def test_ten_a_minute_are_looked_up_over_all(follower: Follower, network: SimulatedNetwork) -> None:
    answers = [post(follower, nobody(number)) for number in range(100)]
    assert answers == ["unknown_participant"] * MOST_LOOKUPS + ["busy"] * (100 - MOST_LOOKUPS)
    assert network.asked("/list") == MOST_LOOKUPS
    assert strangers_kept(follower) == MOST_LOOKUPS, "and no more is written about them"
    follower.pass_time(MINUTE)
    assert post(follower, nobody(99)) == "unknown_participant"


def test_what_was_asked_long_ago_is_forgotten(follower: Follower) -> None:
    for number in range(30):
        post(follower, nobody(number))
        follower.pass_time(MINUTE)
    assert strangers_kept(follower) <= 10


def test_a_silent_anchor_says_neither_yes_nor_no(
    follower: Follower, newcomer: SimulatedNode, network: SimulatedNetwork
) -> None:
    network.anchor.online = False
    assert post(follower, newcomer.identity) == "busy"
    network.anchor.online = True
    assert post(follower, newcomer.identity) == "bad_request"


def test_an_anchor_that_cannot_be_believed_is_as_good_as_silent(
    follower: Follower, newcomer: SimulatedNode, network: SimulatedNetwork
) -> None:
    network.anchor.signing_key = named_key("another anchor")
    assert post(follower, newcomer.identity) == "busy"
    with reading(follower.engine) as session:
        assert load_by_entity(session, newcomer.entity_id) is None


def test_a_newcomer_that_does_not_answer_itself_comes_again(
    follower: Follower, newcomer: SimulatedNode, network: SimulatedNetwork
) -> None:
    newcomer.online = False
    assert post(follower, newcomer.identity) == "busy"
    newcomer.online = True
    assert post(follower, newcomer.identity) == "unknown_key", "bound, and its keys are fetched by the worker"
    with reading(follower.engine) as session:
        assert set(load_wanted(session)) == {"MK"}


def test_one_at_a_time_is_looked_up(follower: Follower, newcomer: SimulatedNode, network: SimulatedNetwork) -> None:
    strangers._LOOKING_UP.acquire()
    try:
        assert post(follower, newcomer.identity) == "busy"
    finally:
        strangers._LOOKING_UP.release()
    assert network.requests == []
    assert post(follower, newcomer.identity) == "bad_request"


def test_one_that_left_is_looked_up_again(
    follower: Follower, newcomer: SimulatedNode, network: SimulatedNetwork
) -> None:
    post(follower, newcomer.identity)
    with writing(follower.engine) as session:
        end_trust(session, "MK", follower.now)
    network.anchor.not_listed.add(newcomer.entity_id)
    follower.pass_time(NO_IS_KEPT)
    assert post(follower, newcomer.identity) == "unknown_participant"
    network.anchor.not_listed.clear()
    follower.pass_time(NO_IS_KEPT)
    assert post(follower, newcomer.identity) == "bad_request"


def test_one_that_the_operator_removed_is_not_asked_about(
    follower: Follower, newcomer: SimulatedNode, network: SimulatedNetwork
) -> None:
    with writing(follower.engine) as session:
        pin(session, make_configuration(newcomer.identity, now=NOW), (), NOW)
        unpin(session, "MK", NOW)
    assert post(follower, newcomer.identity) == "unknown_participant"
    assert network.requests == []


def test_a_code_that_is_taken_is_said(follower: Follower, newcomer: SimulatedNode, network: SimulatedNetwork) -> None:
    other = Identity("MK", "https://other.example", named_key("o federation"), named_key("o operating"))
    with writing(follower.engine) as session:
        pin(session, make_configuration(other, now=NOW), (), NOW)
    assert post(follower, newcomer.identity) == "participant_taken"


@pytest.mark.parametrize(
    "entity_id",
    [
        "http://n.example",
        "https://127.0.0.1",
        "https://n.example/?sub=x",
        "n.example",
        "https://n.example:22",
        "x" * 299,
    ],
)
def test_what_is_no_address_is_not_asked_about(follower: Follower, network: SimulatedNetwork, entity_id: str) -> None:
    with pytest.raises(FederationError) as refused:
        look_up_sender(follower.node, entity_id, follower.now)
    assert refused.value.code == "unknown_participant"
    assert network.requests == []


def test_without_an_anchor_nobody_is_asked(follower: Follower, network: SimulatedNetwork) -> None:
    with writing(follower.engine) as session:
        session.execute(sa.text("DELETE FROM anchor"))
    assert post(follower, nobody()) == "unknown_participant"
    assert network.requests == []
    assert strangers_kept(follower) == 0
