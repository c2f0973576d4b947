"""Whom a sync trusts: the anchor's list and statements, key rotations, pinned peers (protocol.md, section 3)."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.keys import key_set
from federation.participants import TrustedNode, end_trust, load_participant
from sync.pull import PullResult, pull_all
from sync.transport import Response
from tests.simulators.follower import Follower, make_follower, pin
from tests.simulators.network import SimulatedNetwork, answer
from tests.simulators.node_simulator import SimulatedNode, named_identity, named_key

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
Silence = Callable[[SimulatedNetwork], None]


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def origin(network: SimulatedNetwork) -> SimulatedNode:
    origin = network.add("RS")
    origin.grow(5)
    return origin


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork, origin: SimulatedNode) -> Follower:
    follower = make_follower(engine, network)
    assert follower.pull_all()["RS"].result == "ok"
    follower.pass_time(MINUTE)
    return follower


def binding(follower: Follower, participant: str) -> TrustedNode | None:
    with reading(follower.engine) as session:
        return load_participant(session, participant)


def list_served(body: bytes, content_type: str = "application/json") -> Silence:
    """The anchor's list is these bytes."""
    return lambda network: network.faults.update({"/list": lambda url: answer(body, content_type)})


SILENCES: dict[str, Silence] = {
    "silent": lambda network: setattr(network.anchor, "online", False),
    "another key": lambda network: setattr(network.anchor, "signing_key", named_key("thief")),
    "list is no list": list_served(b"{}"),
    "list is no JSON": list_served(b"["),
    "list in another type": list_served(b"[]", "text/html"),
    "list is gone": lambda network: network.refuse("/list", 404, "not_found"),
    "statements fail": lambda network: network.fail("/fetch", "timeout"),
    "statements are refused": lambda network: network.refuse("/fetch", 500, "oops"),
    "a 404 that says nothing of the node": lambda network: network.refuse("/fetch", 404, "not_found"),
    "a 404 in words": lambda network: network.faults.update(
        {"/fetch": lambda url: Response(404, "text/html", b"<h1>not_found</h1>")}
    ),
    "statements are nonsense": lambda network: network.faults.update(
        {"/fetch": lambda url: answer(b"x.y.z", "application/entity-statement+jwt")}
    ),
}


class TestAnchor:
    def test_every_listed_node_is_bound_and_pulled(self, follower: Follower, network: SimulatedNetwork) -> None:
        for code in ("MK", "AL", "SELEC"):
            network.add(code).grow(2)
        results = follower.pull_all()
        assert {code: result.result for code, result in results.items()} == dict.fromkeys(
            ["AL", "MK", "RS", "SELEC"], "ok"
        )

    def test_node_itself_is_not_bound_under_its_anchor(self, follower: Follower, network: SimulatedNetwork) -> None:
        network.anchor.enrol(SimulatedNode(named_identity("ME")))
        assert list(follower.pull_all()) == ["RS"]
        bound = binding(follower, "ME")
        assert bound is not None
        assert bound.trust == "own"

    def test_statement_is_renewed(self, follower: Follower) -> None:
        follower.pass_time(20 * DAY)
        follower.pull_all()
        bound = binding(follower, "RS")
        assert bound is not None
        assert bound.statement_expires_at == follower.now + 30 * DAY

    @pytest.mark.parametrize("way", ["not_listed", "not_found", "removed"])
    def test_node_that_the_anchor_drops_is_trusted_no_more_at_once(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, way: str
    ) -> None:
        if way == "removed":
            del network.anchor.enrolled[origin.entity_id]
        else:
            getattr(network.anchor, way).add(origin.entity_id)
        records = follower.records("RS")
        assert follower.pull_all() == {}
        bound = binding(follower, "RS")
        assert bound is not None
        assert bound.ended_at == follower.now
        assert follower.pull("RS").result == "unknown_participant"
        assert follower.records("RS") == records

    def test_node_that_is_listed_again_is_trusted_again(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        network.anchor.not_listed.add(origin.entity_id)
        follower.pull_all()
        network.anchor.not_listed.clear()
        origin.grow(1)
        assert follower.pull_all()["RS"].entries == 1

    @pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES)
    def test_anchor_that_is_silent_or_refused_ends_nothing(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, silence: Silence
    ) -> None:
        silence(network)
        origin.grow(1)
        assert {code: result.entries for code, result in follower.pull_all().items()} == {"RS": 1}

    def test_statement_that_expired_ends_trust_though_the_anchor_is_silent(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        network.anchor.online = False
        follower.pass_time(31 * DAY)
        origin.grow(1)
        before = follower.snapshot("RS")
        assert follower.pull_all()["RS"].result == "expired"
        assert follower.snapshot("RS") == before
        network.anchor.online = True
        origin.renew_configuration()
        assert follower.pull_all()["RS"].result == "ok"

    def test_second_node_for_a_bound_code_is_taken(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        second = SimulatedNode(replace(named_identity("MK"), participant="RS", entity_id="https://other.example"))
        network.nodes[second.entity_id] = second
        network.anchor.enrol(second)
        results = [(result.participant, result.result) for result in _all(follower)]
        assert results == [("RS", "ok"), ("RS", "participant_taken")]
        bound = binding(follower, "RS")
        assert bound is not None
        assert bound.entity_id == origin.entity_id

    def test_code_passes_to_another_node_when_the_anchor_drops_the_first(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        del network.anchor.enrolled[origin.entity_id]
        second = SimulatedNode(
            replace(named_identity("RS"), entity_id="https://new.example"), entries=list(origin.entries)
        )
        network.nodes[second.entity_id] = second
        network.anchor.enrol(second)
        network.set_time(follower.now)
        second.grow(1)
        assert [(result.participant, result.result, result.entries) for result in _all(follower)] == [("RS", "ok", 1)]

    def test_listed_node_without_statement_has_a_result_of_its_own(
        self, follower: Follower, network: SimulatedNetwork
    ) -> None:
        network.anchor.listed_too = ["http://insecure.example", "https://127.0.0.1", "not a url"]
        results = {result.participant: result.result for result in _all(follower)}
        assert results == {"RS": "ok"} | dict.fromkeys(network.anchor.listed_too, "insecure_url")
        assert network.asked("insecure.example") == 0

    def test_node_claims_another_code_than_it_was_granted(self, follower: Follower, network: SimulatedNetwork) -> None:
        liar = network.add("MK")
        network.anchor.enrol(liar, "AL")
        assert follower.pull_all()["AL"].result == "wrong_participant"
        assert binding(follower, "MK") is None

    def test_c41_federation_key_of_another_country(self, follower: Follower, network: SimulatedNetwork) -> None:
        thief = network.add("MK")
        thief.identity = replace(thief.identity, federation_key=named_identity("RS").federation_key)
        network.anchor.enrol(thief)
        assert [(result.participant, result.result) for result in _all(follower)] == [
            ("RS", "ok"),
            ("MK", "key_reused"),
        ]

    def test_statement_about_another_node_binds_nobody(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        network.anchor.listed_too = ["https://other.example"]
        statement = network.anchor.served_statement(origin.entity_id)
        assert statement is not None
        network.faults["other.example"] = lambda url: answer(statement, "application/entity-statement+jwt")
        results = {result.participant: result.result for result in _all(follower)}
        assert results == {"RS": "ok", "https://other.example": "wrong_participant"}

    def test_no_anchor_is_asked_where_none_is_configured(self, engine: sa.Engine, network: SimulatedNetwork) -> None:
        follower = make_follower(engine, network)
        with writing(engine) as session:
            session.execute(sa.text("DELETE FROM anchor"))
        network.forget_requests()
        assert follower.pull_all() == {}
        assert network.requests == []


def _all(follower: Follower) -> list[PullResult]:
    return pull_all(follower.node, follower.now)


class TestKeys:
    def test_operating_key_rotates_as_often_as_the_node_likes(self, follower: Follower, origin: SimulatedNode) -> None:
        for number in range(3):
            follower.pass_time(MINUTE)
            origin.rotate_operating_key(f"rs operating {number}")
            origin.grow(1)
            assert follower.pull("RS").entries == 1

    def test_anchor_vouches_for_a_rotated_federation_key(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        origin.rotate_federation_key("rs federation 2")
        assert follower.pull("RS").result == "unknown_key"  # under an anchor its statement decides
        network.anchor.enrol(origin)
        origin.grow(1)
        assert follower.pull_all()["RS"].entries == 1

    def test_c26_three_rotations_while_away_are_followed_in_one_sync(
        self, engine: sa.Engine, network: SimulatedNetwork
    ) -> None:
        origin = network.add("MK", enrolled=False)
        follower = make_follower(engine, network)
        pin(follower, origin)
        assert follower.pull("MK").result == "ok"
        for number in range(3):
            origin.rotate_federation_key(f"mk federation {number}")
        follower.pass_time(30 * DAY)
        origin.renew_configuration()
        origin.chain.append(origin.configuration())
        origin.grow(5)
        assert follower.pull("MK").entries == 5

    def test_chain_that_does_not_start_from_the_pinned_key_is_unknown(
        self, engine: sa.Engine, network: SimulatedNetwork
    ) -> None:
        origin = network.add("MK", enrolled=False)
        follower = make_follower(engine, network)
        pin(follower, origin)
        assert follower.pull("MK").result == "ok"
        thief = SimulatedNode(replace(origin.identity, federation_key=named_key("thief")), follower.now + MINUTE)
        network.nodes[origin.entity_id] = thief
        thief.rotate_federation_key("thief 2")
        before = follower.snapshot("MK")
        assert follower.pull("MK").result == "unknown_key"
        assert follower.snapshot("MK") == before

    @pytest.mark.parametrize("chain", [b"[]", b"{}", b"[1]", b"nonsense"])
    def test_chain_that_cannot_be_read_changes_nothing(
        self, engine: sa.Engine, network: SimulatedNetwork, chain: bytes
    ) -> None:
        origin = network.add("MK", enrolled=False)
        follower = make_follower(engine, network)
        pin(follower, origin)
        follower.pull("MK")
        origin.rotate_federation_key("mk federation 2")
        network.faults["/configurations/"] = lambda url: answer(chain, "application/json")
        before = follower.snapshot("MK")
        assert follower.pull("MK").result in ("malformed", "too_large")
        assert follower.snapshot("MK") == before

    def test_chain_that_is_not_served_leaves_the_key_unknown(
        self, engine: sa.Engine, network: SimulatedNetwork
    ) -> None:
        origin = network.add("MK", enrolled=False)
        follower = make_follower(engine, network)
        pin(follower, origin)
        follower.pull("MK")
        origin.rotate_federation_key("mk federation 2")
        network.refuse("/configurations/", 404, "not_found")
        assert follower.pull("MK").result == "unknown_key"

    def test_pinned_peer_is_not_the_anchors_to_end(self, follower: Follower, network: SimulatedNetwork) -> None:
        pin(follower, network.add("MK", enrolled=False))
        assert follower.pull_all()["MK"].result == "ok"
        assert follower.pull_all()["MK"].result == "ok"

    def test_held_configuration_serves_while_the_origin_is_silent_until_it_expires(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        network.fail("rs.example/.well-known", "timeout")
        follower.pass_time(6 * DAY)
        origin.grow(1)
        assert follower.pull_all()["RS"].entries == 1
        follower.pass_time(2 * DAY)
        origin.grow(1)
        assert follower.pull_all()["RS"].result == "timeout"
        assert follower.head("RS").size == 6

    @pytest.mark.parametrize("chain", ["lying", "silent", "none"])
    def test_expired_configuration_is_renewed_through_a_peer(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, chain: str
    ) -> None:
        """Of two peers one has nothing of use; the other relays the chain."""
        for code in ("MK", "AL"):
            network.add(code)
        follower.pull_all()
        follower.pass_time(8 * DAY)
        for code in ("MK", "AL"):
            network.nodes[f"https://{code.lower()}.example"].renew_configuration()
        follower.pull_all(["MK", "AL"])
        origin.renew_configuration()
        origin.grow(1)
        for code in ("MK", "AL"):
            network.nodes[f"https://{code.lower()}.example"].relayed["RS"] = origin.copy()
        if chain == "lying":
            network.faults["//mk.example/federation/v1/configurations/"] = lambda url: answer(
                b"[1]", "application/json"
            )
        elif chain == "silent":
            network.fail("//mk.example/federation/v1/configurations/", "timeout")
        origin.online = False
        assert (follower.pull("RS").result, follower.head("RS").size) == ("ok", 6)

    def test_held_configuration_signed_by_a_key_that_the_anchor_replaced_is_not_used(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        network.anchor.enrolled[origin.entity_id] = ("RS", key_set(named_key("rs federation 2")))
        network.fail("rs.example/.well-known", "unreachable")
        origin.grow(1)
        assert follower.pull_all()["RS"].result == "unreachable"
        assert follower.head("RS").size == 5


def test_month_of_silence_with_three_rotations_and_many_entries_heals_in_one_run(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    """F15: the data are shown with their age all month; the first contact catches up."""
    origin.online = False
    for _ in range(30):
        follower.pass_time(DAY)
        assert follower.pull_all()["RS"].result == "unreachable"
    assert follower.state("RS") == "stale"
    assert len(follower.records("RS")) == 5
    for number in range(3):
        origin.rotate_operating_key(f"rs operating {number}")
        origin.renew_configuration()
    origin.grow(500)
    origin.online = True
    result = follower.pull_all()["RS"]
    assert (result.result, result.entries) == ("ok", 500)
    assert follower.state("RS") == "fresh"
    follower.check_holds(origin)


@pytest.mark.parametrize("code", ["XX", "ME", ""])
def test_code_that_nobody_is_trusted_for(follower: Follower, code: str) -> None:
    result = follower.pull(code)
    assert (result.result, result.entries) == ("unknown_participant", 0)


def test_codes_given_are_pulled_alone_and_once(follower: Follower, network: SimulatedNetwork) -> None:
    network.add("MK")
    network.forget_requests()
    assert [result.participant for result in pull_all(follower.node, follower.now, ["MK", "XX", "MK"])] == ["MK", "XX"]
    assert network.asked("//rs.example/.well-known") + network.asked("/logs/RS") == 0


def test_trust_that_an_operator_ended_is_not_pulled(follower: Follower) -> None:
    with writing(follower.engine) as session:
        end_trust(session, "RS", follower.now)
    assert follower.pull("RS").result == "unknown_participant"
