"""Peering between two real nodes without an anchor: what each operator does, and what strangers cannot."""

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.errors import FederationError
from federation.identity import Identity
from federation.keys import key_set
from federation.log import create_log, load_head
from federation.mailbox import REMEMBERED_FOR
from federation.messages import make_message, new_jti
from federation.participants import bind_participant, load_participant
from federation.peering import (
    APPROVED,
    MOST_NEW,
    MOST_OF_A_PEER,
    MOST_WAITING,
    PROPOSED,
    REFUSED,
    WAITS_FOR,
    forget_proposals,
    make_body,
    pin,
    tell,
    unpin,
)
from federation.statements import NodeConfiguration, make_configuration
from sync.jobs import make_timetable, run_job
from sync.message_inbox import receive_message
from sync.peers import fetch_introduction, forget_peer
from sync.refresh import refresh_trust
from sync.run import Run
from tests.simulators.follower import Follower, make_follower
from tests.simulators.message_link import MessageLink
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, named_identity, named_key
from tests.simulators.peers import Peer, make_peer, second_engine

SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def link() -> MessageLink:
    return MessageLink(NOW)


@pytest.fixture
def rs(engine: sa.Engine, link: MessageLink) -> Peer:
    """The node under test."""
    return make_peer(engine, link, "RS")


@pytest.fixture
def me(sqlite_template: Path, tmp_path: Path, link: MessageLink) -> Iterator[Peer]:
    engine = second_engine(sqlite_template, tmp_path, "me")
    yield make_peer(engine, link, "ME")
    engine.dispose()


class TestTwoOperators:
    def test_a_proposal_pins_and_dials_nothing(self, me: Peer, rs: Peer, link: MessageLink) -> None:
        sent = me.send(me.pin(rs))
        assert (sent.type, sent.state) == (PROPOSED, "delivered")
        assert [(each.participant, each.kid) for each in rs.proposals()] == [("ME", me.configuration().kid)]
        assert not rs.trusts(me)
        assert me.trusts(rs)
        assert me.own_proposals() == {"RS": "delivered"}
        assert rs.wanted() == set()
        assert [url for _, url in link.requests] == ["https://rs.example/federation/v1/messages"]

    def test_an_approval_pins_and_both_follow_each_other(self, me: Peer, rs: Peer) -> None:
        me.send(me.pin(rs))
        approval = rs.send(rs.pin(me))
        assert (approval.type, approval.state) == (APPROVED, "delivered")
        assert rs.trusts(me)
        assert rs.proposals() == []
        assert me.own_proposals() == {"RS": "approved"}
        assert me.wanted() == {"RS"}
        assert rs.own_proposals() == {}

    def test_a_refusal_informs_and_trusts_nobody(self, me: Peer, rs: Peer) -> None:
        me.send(me.pin(rs))
        refusal = rs.send(rs.refuse(me))
        assert (refusal.type, refusal.state) == (REFUSED, "delivered"), "its receipt is verified by what ME introduced"
        assert rs.proposals() == []
        assert not rs.trusts(me)
        assert me.own_proposals() == {"RS": "refused"}
        assert me.wanted() == set()
        assert me.trusts(rs), "whom ME pinned is for ME's operator to say"

    def test_two_that_propose_at_once_trust_each_other(self, me: Peer, rs: Peer) -> None:
        of_me, of_rs = me.pin(rs), rs.pin(me)
        assert me.send(of_me).state == rs.send(of_rs).state == "delivered"
        assert me.own_proposals() == {"RS": "approved"}
        assert rs.own_proposals() == {"ME": "approved"}
        assert rs.proposals() == me.proposals() == []

    def test_one_that_was_refused_may_propose_again(self, me: Peer, rs: Peer) -> None:
        me.send(me.pin(rs))
        rs.send(rs.refuse(me))
        me.pass_time(SECOND)
        rs.now = me.now
        me.send(me.pin(rs))
        assert me.own_proposals() == {"RS": "delivered"}
        assert len(rs.proposals()) == 1
        rs.send(rs.pin(me))
        assert me.own_proposals() == {"RS": "approved"}

    def test_a_later_proposal_takes_the_place_of_the_earlier(self, me: Peer, rs: Peer, link: MessageLink) -> None:
        link.fail("/messages", "timeout", times=1)
        first = me.pin(rs)
        me.send(first)
        second = me.pin(rs)
        assert me.sent(first).state == "undeliverable"
        assert me.send(second).state == "delivered"
        me.send(me.pin(rs))
        assert len(rs.proposals()) == 1

    def test_removal_ends_trust_and_what_still_waits(self, me: Peer, rs: Peer, link: MessageLink) -> None:
        me.send(me.pin(rs))
        link.fail("/messages", "timeout")
        approval = rs.pin(me)
        with writing(rs.engine) as session:
            unpin(session, "ME", rs.now)
        assert not rs.trusts(me)
        assert rs.sent(approval).state == "undeliverable"
        assert (rs.sent(approval).detail or "").startswith("forbidden: the peer was removed here")

    def test_one_removed_may_propose_and_be_pinned_again(self, me: Peer, rs: Peer) -> None:
        rs.send(rs.pin(me))
        me.send(me.pin(rs))
        with writing(rs.engine) as session:
            unpin(session, "ME", rs.now)
        me.pass_time(SECOND)
        rs.now = me.now
        assert me.send(me.pin(rs)).state == "delivered"
        assert [each.participant for each in rs.proposals()] == ["ME"]
        rs.send(rs.pin(me))
        assert rs.trusts(me)


class Stranger:
    """A node that nobody knows, with keys of its own."""

    def __init__(self, rs: Peer, name: str, code: str = "BG") -> None:
        self.rs = rs
        self.identity = Identity(
            code, f"https://{name}.example", named_key(f"{name} federation"), named_key(f"{name} operating")
        )

    def write(self, type_: str = PROPOSED, **changes: object) -> str:
        configuration = make_configuration(self.identity, now=self.rs.now)
        arguments: dict[str, object] = {
            "audience": self.rs.node.identity.entity_id,
            "jti": new_jti(),
            "type_": type_,
            "body": make_body(configuration),
            "now": self.rs.now,
        }
        return make_message(self.identity, **(arguments | changes))  # type: ignore[arg-type]

    def post(self, type_: str = PROPOSED) -> str:
        return post(self.rs, self.write(type_))


def post(rs: Peer, token: str) -> str:
    try:
        receive_message(rs.node, token.encode(), rs.now)
    except FederationError as error:
        return error.code
    return "ok"


class TestFlood:
    def test_twenty_new_an_hour_wait_and_the_rest_come_again_later(self, rs: Peer) -> None:
        answers = [Stranger(rs, f"n{number}").post() for number in range(40)]
        assert answers == ["ok"] * MOST_NEW + ["rate_limited"] * (40 - MOST_NEW)
        assert len(rs.proposals()) == MOST_NEW
        assert rs.count("received_message") == MOST_NEW
        rs.pass_time(HOUR)
        assert Stranger(rs, "n39").post() == "ok"

    def test_one_node_may_not_fill_the_hour_with_other_types(self, rs: Peer) -> None:
        stranger = Stranger(rs, "n")
        answers = [stranger.post(type_) for _ in range(8) for type_ in (PROPOSED, APPROVED, REFUSED)]
        assert answers.count("ok") == MOST_NEW
        assert len(rs.proposals()) == 1, "one waits per node"
        assert rs.wanted() == set()

    def test_fifty_wait_at_most(self, rs: Peer) -> None:
        for number in range(MOST_WAITING):
            if number % MOST_NEW == 0:
                rs.pass_time(HOUR)
            assert Stranger(rs, f"n{number}").post() == "ok"
        rs.pass_time(HOUR)
        assert Stranger(rs, "one more").post() == "insecure_url", "no address"
        assert Stranger(rs, "more").post() == "rate_limited"
        assert Stranger(rs, "n7").post() == "ok", "one that waits already may propose anew"
        assert len(rs.proposals()) == MOST_WAITING

    def test_none_waits_longer_than_two_weeks(self, rs: Peer) -> None:
        Stranger(rs, "n").post()
        rs.pass_time(WAITS_FOR)
        assert rs.proposals() == []
        with writing(rs.engine) as session:
            forget_proposals(session, rs.now)
        assert rs.count("proposal") == 0

    def test_trusted_nodes_are_not_held_up(self, me: Peer, rs: Peer) -> None:
        rs.send(rs.pin(me))
        for number in range(30):
            Stranger(rs, f"n{number}").post()
        assert me.send(me.pin(rs)).state == "delivered"

    def test_a_trusted_node_may_not_fill_the_disk_either(self, me: Peer, rs: Peer) -> None:
        rs.pin(me)
        peer = Stranger(rs, "me", "ME")
        peer.identity = me.node.identity
        answers = [peer.post(APPROVED) for _ in range(MOST_OF_A_PEER + 10)]
        assert answers == ["ok"] * MOST_OF_A_PEER + ["rate_limited"] * 10
        assert rs.count("received_message") == MOST_OF_A_PEER
        rs.pass_time(HOUR)
        assert peer.post(APPROVED) == "ok"

    def test_housekeeping_forgets_what_is_over(self, rs: Peer) -> None:
        Stranger(rs, "n").post()
        rs.pass_time(REMEMBERED_FOR)
        (job,) = [job for job in make_timetable(rs.node) if job.name == "housekeeping"]
        assert run_job(rs.node, job, rs.now, None)
        assert rs.count("received_message") == rs.count("proposal") == 0

    def test_of_many_at_once_no_more_wait_than_may(self, rs: Peer) -> None:
        tokens = [Stranger(rs, f"n{number}").write() for number in range(30)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda token: post(rs, token), tokens))
        assert answers.count("ok") == MOST_NEW
        assert len(rs.proposals()) == MOST_NEW


class TestCodes:
    def test_bound_to_another_node_are_taken(self, me: Peer, rs: Peer) -> None:
        rs.pin(me)
        other = Stranger(rs, "other", "ME")
        assert other.post() == "participant_taken"
        assert rs.proposals() == []
        with writing(rs.engine) as session:
            unpin(session, "ME", rs.now)
        assert other.post() == "ok"

    def test_own_one_is_taken(self, rs: Peer) -> None:
        assert Stranger(rs, "other", "RS").post() == "participant_taken"

    def test_several_may_claim_one_and_the_operator_decides(self, me: Peer, rs: Peer) -> None:
        me.send(me.pin(rs))
        assert Stranger(rs, "other", "ME").post() == "ok"
        assert len(rs.proposals()) == 2
        rs.pin(me)
        assert rs.trusts(me)
        with reading(rs.engine) as session:
            node = load_participant(session, "ME")
        assert node is not None
        assert node.entity_id == me.node.identity.entity_id

    def test_key_of_another_participant_cannot_be_pinned(self, me: Peer, rs: Peer) -> None:
        rs.pin(me)
        own = me.node.identity
        copied = replace(own, participant="MK", entity_id="https://mk.example")
        configuration = make_configuration(copied, now=rs.now)
        before = rs.snapshot("ME")
        with pytest.raises(FederationError) as refused:
            pin_configuration(rs, configuration)
        assert refused.value.code == "key_reused"
        assert rs.snapshot("ME") == before
        with reading(rs.engine) as session:
            assert load_participant(session, "MK") is None


def pin_configuration(rs: Peer, configuration: NodeConfiguration) -> None:
    with writing(rs.engine) as session:
        pin(session, configuration, (), rs.now)


class TestUnderAnAnchorToo:
    """What an operator pinned is not the anchor's to change, and the other way round."""

    @pytest.fixture
    def follower(self, engine: sa.Engine) -> Follower:
        network = SimulatedNetwork()
        network.add("RS").grow(2)
        follower = make_follower(engine, network)
        assert follower.pull_all()["RS"].result == "ok"
        return follower

    def pinned(self, follower: Follower) -> None:
        configuration = fetch_introduction(follower.node, "https://rs.example", "RS", (), NOW)
        with writing(follower.engine) as session:
            pin(session, configuration, (), NOW)

    def trust(self, follower: Follower, code: str = "RS") -> str | None:
        with reading(follower.engine) as session:
            node = load_participant(session, code)
        return None if node is None or not node.is_trusted(follower.now) else node.trust

    def test_pinned_node_stays_when_the_anchor_lets_it_go(self, follower: Follower) -> None:
        self.pinned(follower)
        assert self.trust(follower) == "peering"
        network = follower.network
        network.anchor.enrolled.clear()
        refresh_trust(Run(follower.node, follower.now))
        assert self.trust(follower) == "peering"

    def test_removed_node_does_not_come_back_by_the_anchor(self, follower: Follower) -> None:
        self.pinned(follower)
        with writing(follower.engine) as session:
            unpin(session, "RS", NOW)
        refresh_trust(Run(follower.node, follower.now))
        assert self.trust(follower) is None

    def test_forgotten_node_may_be_bound_by_the_anchor_again(self, follower: Follower) -> None:
        self.pinned(follower)
        with writing(follower.engine) as session:
            unpin(session, "RS", NOW)
            forget_peer(session, "RS")
        with reading(follower.engine) as session:
            assert load_head(session, "RS") is None
        assert follower.records("RS") == {}
        assert follower.pull_all()["RS"].result == "ok"
        assert self.trust(follower) == "anchor"

    def test_code_that_the_anchor_gave_to_another_cannot_be_pinned(self, follower: Follower) -> None:
        other = Identity("RS", "https://other.example", named_key("o federation"), named_key("o operating"))
        with pytest.raises(FederationError) as refused, writing(follower.engine) as session:
            bind_participant(session, "RS", other.entity_id, "peering", key_set(named_key("o federation")))
        assert refused.value.code == "participant_taken"
        with pytest.raises(FederationError) as unfetched:
            fetch_introduction(follower.node, other.entity_id, "RS", (), NOW)
        assert unfetched.value.code == "participant_taken"

    def test_a_proposal_of_a_node_that_the_anchor_vouches_for_waits(self, follower: Follower) -> None:
        origin = named_identity("RS")
        token = make_message(
            origin,
            audience=follower.node.identity.entity_id,
            jti=new_jti(),
            type_=PROPOSED,
            body=make_body(make_configuration(origin, now=NOW)),
            now=NOW,
        )
        receive_message(follower.node, token.encode(), NOW)
        with reading(follower.engine) as session:
            assert session.execute(sa.text("SELECT count(*) FROM proposal")).scalar_one() == 1
        assert self.trust(follower) == "anchor"


class TestFetching:
    def test_what_the_node_says_is_checked(self, me: Peer, rs: Peer) -> None:
        url = me.node.identity.entity_id
        assert fetch_introduction(rs.node, url, "ME", (), rs.now).token == me.configuration().token
        for participant, address, code in (
            ("MK", url, "wrong_participant"),
            ("RS", url, "participant_taken"),
            ("ME", rs.node.identity.entity_id, "participant_taken"),
            ("ME", "http://me.example", "insecure_url"),
            ("ME", "https://10.0.0.1", "insecure_url"),
        ):
            with pytest.raises(Exception) as refused:
                fetch_introduction(rs.node, address, participant, (), rs.now)
            assert getattr(refused.value, "code", None) == code

    def test_an_expired_configuration_introduces_nobody(self, me: Peer, rs: Peer) -> None:
        rs.pass_time(dt.timedelta(days=8))
        with pytest.raises(FederationError) as refused:
            fetch_introduction(rs.node, me.node.identity.entity_id, "ME", (), rs.now)
        assert refused.value.code == "expired"


def test_a_code_that_passes_to_another_node_starts_with_its_keys_alone(me: Peer, rs: Peer) -> None:
    rs.pin(me)
    with writing(rs.engine) as session:
        create_log(session, "ME", own=False)
        unpin(session, "ME", rs.now)
    other = Identity("ME", "https://other.example", named_key("o federation"), named_key("o operating"))
    pin_configuration(rs, make_configuration(other, now=rs.now - HOUR))
    with reading(rs.engine) as session:
        node = load_participant(session, "ME")
    assert node is not None
    assert set(node.operating_keys) == {other.operating_key.kid}


def test_every_message_carries_the_own_configuration(me: Peer, rs: Peer) -> None:
    with writing(me.engine) as session:
        jti = tell(session, rs.configuration(), REFUSED, me.now)
    assert me.sent(jti).body == {"participant": "ME", "configuration": me.configuration().token}
