"""The outbox: sent until receipted, whatever is lost, refused or killed on the way (abuse.md H13 to H16, T14)."""

import datetime as dt
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import writing
from federation.encoding import dump_json
from federation.mailbox import GIVE_UP_AFTER, LONGEST_PAUSE, claim_message, load_due
from federation.messages import LIFETIME, make_receipt, parse_message, prove_message
from federation.own_node import refuse_clock
from federation.participants import store_configuration
from federation.statements import make_configuration
from sync.delivery import Outbox, deliver, is_final
from sync.errors import PeerRefusalError, PeerResponseError, PeerUnreachableError, StoppedError
from sync.transport import JWT, Response
from tests.simulators.message_link import Killed, MessageLink
from tests.simulators.network import answer, problem
from tests.simulators.node_simulator import NOW, named_identity, named_key
from tests.simulators.peers import Peer, make_peer, second_engine
from tests.unit.federation.samples import claims_of, header_of
from tests.waiting import eventually

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
MESSAGES = "/federation/v1/messages"


@pytest.fixture
def link() -> MessageLink:
    return MessageLink(NOW)


@pytest.fixture
def me(engine: sa.Engine, link: MessageLink) -> Peer:
    """The sender, on the database under test."""
    return make_peer(engine, link, "ME")


@pytest.fixture
def rs(sqlite_template: Path, tmp_path: Path, link: MessageLink) -> Iterator[Peer]:
    """The receiver."""
    engine = second_engine(sqlite_template, tmp_path, "rs")
    yield make_peer(engine, link, "RS")
    engine.dispose()


@pytest.fixture
def jti(me: Peer, rs: Peer) -> str:
    """A message that waits: ME's proposal to RS."""
    return me.pin(rs)


def pass_time(me: Peer, rs: Peer, time: dt.timedelta) -> None:
    me.pass_time(time)
    rs.now = me.now


def is_due(me: Peer, jti: str) -> bool:
    with writing(me.engine) as session:
        return jti in load_due(session, me.now)


class TestDelivery:
    def test_receipt_is_verified_and_kept(self, me: Peer, rs: Peer, jti: str, link: MessageLink) -> None:
        assert me.sent(jti).state == "waiting"
        sent = me.send(jti)
        assert (sent.state, sent.detail, sent.retry_at) == ("delivered", None, None)
        assert sent.receipt is not None
        assert claims_of(sent.receipt)["jti"] == jti
        assert [body.decode() for body in link.posted] == list(sent.tokens)
        assert [proposal.participant for proposal in rs.proposals()] == ["ME"]

    def test_delivered_one_is_not_sent_again(self, me: Peer, jti: str, link: MessageLink) -> None:
        first = me.send(jti)
        assert me.send(jti) == first
        assert len(link.posted) == 1

    def test_unknown_one_is_nothing(self, me: Peer) -> None:
        assert deliver(me.node, "0b54f6a8-5f6e-4f0e-9d55-0f9e54a3c111", me.now) is None

    def test_one_that_is_not_due_waits(self, me: Peer, jti: str, link: MessageLink) -> None:
        link.fail(MESSAGES, "timeout", times=1)
        me.send(jti)
        assert not is_due(me, jti)
        me.send(jti)
        assert link.asked(MESSAGES) == 1

    def test_of_two_processes_one_sends(self, me: Peer, jti: str) -> None:
        until = me.now + MINUTE
        identity = me.node.identity
        with writing(me.engine) as session:
            assert claim_message(session, identity, jti, me.now, until) is not None
        with writing(me.engine) as session:
            assert claim_message(session, identity, jti, me.now, until) is None
            assert claim_message(session, identity, jti, until, until + MINUTE) is not None, "a claim ends by itself"

    def test_many_at_once_have_one_effect(self, me: Peer, rs: Peer, jti: str) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: deliver(me.node, jti, me.now), range(8)))
        assert me.sent(jti).state == "delivered"
        assert rs.count("received_message") == 1

    def test_allowed_networks_of_the_receiver_are_used(self, me: Peer, jti: str, link: MessageLink) -> None:
        with writing(me.engine) as session:
            session.execute(sa.text("UPDATE participant SET allowed_networks = '[\"10.1.0.0/16\"]'"))
        seen: list[object] = []
        original = link.post

        def post(url: str, body: bytes, **options: object) -> Response:
            seen.append(options["allowed_networks"])
            return original(url, body, **options)  # type: ignore[arg-type]

        deliver(replace(me.node, transport=_Posting(link, post)), jti, me.now)
        assert [str(network) for networks in seen for network in networks] == ["10.1.0.0/16"]


class _Posting:
    """The link with another way to post."""

    def __init__(self, link: MessageLink, post: object) -> None:
        self.get, self.post, self.stop = link.get, post, link.stop


HEALED = [
    (401, "unknown_key"),
    (401, "bad_signature"),
    (408, "bad_request"),
    (429, "rate_limited"),
    (500, "bad_response"),
    (503, "busy"),
    (503, "storage_full"),
    (400, "expired"),
    (400, "not_yet_valid"),
]
FINAL = [
    (400, "bad_request"),
    (400, "wrong_audience"),
    (403, "participant_taken"),
    (403, "unknown_participant"),
    (404, "not_found"),
    (409, "jti_conflict"),
    (413, "too_large"),
]


def test_refusals_that_time_may_heal_are_tried_again(me: Peer, rs: Peer, link: MessageLink) -> None:
    for status, code in HEALED:
        jti = me.pin(rs)
        link.refuse(MESSAGES, status, code)
        sent = me.send(jti)
        assert (sent.state, sent.retry_at) == ("waiting", me.now + SECOND)
        assert (sent.detail or "").startswith(f"{code}: ")
        link.faults.clear()
        pass_time(me, rs, SECOND)
        assert me.send(jti).state == "delivered", code


def test_other_refusals_are_final(me: Peer, rs: Peer, link: MessageLink) -> None:
    for status, code in FINAL:
        jti = me.pin(rs)
        link.refuse(MESSAGES, status, code)
        sent = me.send(jti)
        assert (sent.state, sent.retry_at) == ("undeliverable", None)
        assert (sent.detail or "").startswith(f"{code}: ")
        assert not is_due(me, jti)


def test_no_answer_and_one_that_proves_nothing_are_tried_again(me: Peer, rs: Peer, link: MessageLink) -> None:
    for code in ("timeout", "unreachable", "redirect_refused", "bad_response", "bad_range"):
        link.fail(MESSAGES, code)
        assert me.send(me.pin(rs)).state == "waiting", code


class TestPauses:
    def test_grow_from_a_second_to_ten_minutes_and_end_after_a_week(
        self, me: Peer, rs: Peer, jti: str, link: MessageLink
    ) -> None:
        link.fail(MESSAGES, "unreachable")
        pauses = []
        while (sent := me.send(jti)).state == "waiting":
            assert sent.retry_at is not None
            pauses.append(sent.retry_at - me.now)
            pass_time(me, rs, pauses[-1] if len(pauses) < 15 else max(pauses[-1], 4 * HOUR))
        assert pauses[:10] == [SECOND * 2**doublings for doublings in range(10)]
        assert set(pauses[10:]) == {LONGEST_PAUSE}
        assert me.now - NOW >= GIVE_UP_AFTER
        assert "no receipt within 7 days" in (sent.detail or "")
        assert "unreachable" in (sent.detail or "")

    def test_do_not_follow_retry_after(self, me: Peer, jti: str, link: MessageLink) -> None:
        refusal = problem(503, "busy")
        link.faults[MESSAGES] = lambda url: replace(refusal, headers={"retry-after": "999999999"})
        assert me.send(jti).retry_at == me.now + SECOND


class TestSigningAnew:
    def test_same_token_goes_out_while_it_is_in_force(self, me: Peer, rs: Peer, jti: str, link: MessageLink) -> None:
        link.fail(MESSAGES, "timeout", times=3)
        for _ in range(3):
            me.send(jti)
            pass_time(me, rs, HOUR)
        assert len(me.send(jti).tokens) == 1

    def test_one_whose_time_ran_out_keeps_name_and_content(
        self, me: Peer, rs: Peer, jti: str, link: MessageLink
    ) -> None:
        link.lose_answer()
        me.send(jti)
        assert rs.count("proposal") == 1
        pass_time(me, rs, LIFETIME + HOUR)
        sent = me.send(jti)
        first, second = map(claims_of, sent.tokens)
        assert sent.state == "delivered"
        assert {name: first[name] for name in ("jti", "aud", "type", "body")} == {
            name: second[name] for name in ("jti", "aud", "type", "body")
        }
        assert second["iat"] == int(me.now.timestamp())
        assert rs.count("received_message") == 1, "the receipt was for the token that came first"

    def test_one_whose_key_is_gone(self, me: Peer, rs: Peer, jti: str, link: MessageLink) -> None:
        link.fail(MESSAGES, "timeout", times=1)
        me.send(jti)
        pass_time(me, rs, MINUTE)
        rotated = replace(me.node.identity, operating_key=named_key("me operating 2"))
        with writing(me.engine) as session:
            store_configuration(session, make_configuration(rotated, now=me.now))
        node = replace(me.node, load_identity=lambda: rotated)
        deliver(node, jti, me.now)
        assert [header_of(token)["kid"] for token in me.sent(jti).tokens] == [
            me.node.identity.operating_key.kid,
            rotated.operating_key.kid,
        ]

    def test_one_that_the_receiver_calls_expired_is_signed_anew_each_hour_at_most(
        self, me: Peer, rs: Peer, jti: str, link: MessageLink
    ) -> None:
        link.refuse(MESSAGES, 400, "expired")
        for minutes in (1, 20, 45, 59, 61):
            me.send(jti)
            pass_time(me, rs, NOW + minutes * MINUTE - me.now)
        assert len(me.send(jti).tokens) == 2


class TestReceipts:
    """A 200 that proves nothing is no delivery."""

    def answer_with(self, link: MessageLink, body: bytes) -> None:
        link.answers.append(lambda given: answer(body, JWT))

    def test_of_other_bytes_are_no_proof(self, me: Peer, rs: Peer, jti: str, link: MessageLink) -> None:
        for body in (b"", b"ok", b"a.b.c", b"\xff"):
            self.answer_with(link, body)
            assert me.send(jti).state == "waiting"
            pass_time(me, rs, HOUR)
        assert me.sent(jti).receipt is None
        assert me.send(jti).state == "delivered"

    def test_of_another_node_or_message_are_no_proof(self, me: Peer, rs: Peer, jti: str, link: MessageLink) -> None:
        me.node.transport.fail(MESSAGES, "timeout", times=1)  # type: ignore[attr-defined]
        token = me.send(jti).tokens[-1]
        keys = {me.node.identity.operating_key.kid: me.node.identity.operating_key.public_key()}
        parsed = parse_message(token)
        message = prove_message(parsed, keys, issuer=parsed.claims["iss"], audience=parsed.claims["aud"])
        forged = replace(rs.node.identity, operating_key=named_key("nobody"))
        for receipt in (
            make_receipt(forged, message, NOW),
            make_receipt(named_identity("MK"), message, NOW),
            make_receipt(rs.node.identity, replace(message, jti="0b54f6a8-5f6e-4f0e-9d55-0f9e54a3c111"), NOW),
            make_receipt(rs.node.identity, replace(message, token=token + "A"), NOW),
            make_receipt(rs.node.identity, replace(message, issuer="https://mk.example"), NOW),
        ):
            pass_time(me, rs, HOUR)
            self.answer_with(link, receipt.encode())
            assert me.send(jti).state == "waiting"

    def test_by_a_new_key_make_the_worker_look_for_a_new_configuration(
        self, me: Peer, rs: Peer, jti: str, link: MessageLink
    ) -> None:
        rotated = replace(rs.node.identity, operating_key=named_key("rs operating 2"))
        with writing(rs.engine) as session:
            store_configuration(session, make_configuration(rotated, now=NOW + SECOND))
        link.joined[rs.node.identity.entity_id] = replace(rs.node, load_identity=lambda: rotated)
        assert (me.send(jti).detail or "").startswith("unknown_key: ")
        assert me.wanted() == {"RS"}


class TestKilled:
    """A process that ends anywhere loses nothing and doubles nothing."""

    def test_after_the_claim_and_before_the_post(self, me: Peer, rs: Peer, jti: str, link: MessageLink) -> None:
        with writing(me.engine) as session:
            claim_message(session, me.node.identity, jti, me.now, me.now + 15 * SECOND)
        assert link.posted == []
        pass_time(me, rs, 15 * SECOND)
        assert me.send(jti).state == "delivered"
        assert len(me.sent(jti).tokens) == 1

    def test_within_the_claim_as_if_it_had_not_begun(self, me: Peer, jti: str) -> None:
        before = me.sent(jti)
        with pytest.raises(Killed):
            self.claim_and_die(me, jti)
        assert me.sent(jti) == before

    def claim_and_die(self, me: Peer, jti: str) -> None:
        with writing(me.engine) as session:
            claim_message(session, me.node.identity, jti, me.now, me.now + MINUTE)
            raise Killed

    def test_after_the_post_and_before_the_receipt_is_kept(
        self, me: Peer, rs: Peer, jti: str, link: MessageLink
    ) -> None:
        given: list[bytes] = []

        def kill(response: Response) -> Response:
            given.append(response.body)
            raise Killed

        link.answers.append(kill)
        with pytest.raises(Killed):
            me.send(jti)
        assert (me.sent(jti).state, me.sent(jti).receipt) == ("waiting", None)
        assert not is_due(me, jti), "the claim of the dead holds until it ends"
        pass_time(me, rs, 15 * SECOND)
        sent = me.send(jti)
        assert (sent.state, sent.receipt) == ("delivered", given[0].decode())
        assert rs.count("received_message") == rs.count("proposal") == 1

    def test_receiver_after_its_commit_and_before_its_answer(
        self, me: Peer, rs: Peer, jti: str, link: MessageLink
    ) -> None:
        link.lose_answer()
        assert me.send(jti).state == "waiting"
        pass_time(me, rs, SECOND)
        assert me.send(jti).state == "delivered"
        assert rs.count("received_message") == rs.count("proposal") == 1
        assert len(link.posted) == 2

    def test_stopped_while_it_posts_leaves_the_message_for_the_next_start(
        self, me: Peer, rs: Peer, jti: str, link: MessageLink
    ) -> None:
        def stop(response: Response) -> Response:
            raise StoppedError("this node is stopping")

        link.answers.append(stop)
        with pytest.raises(StoppedError):
            me.send(jti)
        pass_time(me, rs, 15 * SECOND)
        assert me.send(jti).state == "delivered"


def test_nothing_is_signed_while_the_clock_is_refused(me: Peer, jti: str, link: MessageLink) -> None:
    with writing(me.engine) as session:
        refuse_clock(session, "it jumped")
    outbox = Outbox(me.node, lambda: me.now)
    outbox.tick(None)
    eventually(lambda: all(future.done() for future in outbox._sending.values()))
    outbox.tick(None)
    outbox.tick(None)
    outbox.close()
    assert link.posted == []
    assert me.sent(jti).tokens == ()


class TestOutbox:
    def test_delivers_what_is_due_once(self, me: Peer, jti: str, link: MessageLink) -> None:
        outbox = Outbox(me.node, lambda: me.now)
        outbox.tick(None)
        eventually(lambda: me.sent(jti).state == "delivered")
        outbox.tick(None)
        outbox.close()
        assert len(link.posted) == 1

    def test_slow_receiver_holds_up_no_other(
        self, me: Peer, rs: Peer, jti: str, link: MessageLink, sqlite_template: Path, tmp_path: Path
    ) -> None:
        engine = second_engine(sqlite_template, tmp_path, "mk")
        mk = make_peer(engine, link, "MK")
        other = me.pin(mk)
        release = threading.Event()

        def wait(url: str) -> None:
            release.wait(30)

        link.faults["https://rs.example" + MESSAGES] = wait
        outbox = Outbox(me.node, lambda: me.now)
        outbox.tick(None)
        eventually(lambda: me.sent(other).state == "delivered")
        assert me.sent(jti).state == "waiting"
        release.set()
        eventually(lambda: me.sent(jti).state == "delivered")
        outbox.close()
        engine.dispose()


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (PeerRefusalError(400, "bad_request", ""), True),
        (PeerRefusalError(400, "expired", ""), False),
        (PeerRefusalError(502, "unreachable", ""), False),
        (PeerResponseError("redirect_refused", ""), False),
        (PeerUnreachableError("timeout", ""), False),
    ],
)
def test_what_is_final(error: Exception, final: bool) -> None:
    assert is_final(error) is final


def test_a_body_stays_as_it_was_queued(me: Peer, rs: Peer, jti: str) -> None:
    own = me.configuration()
    assert dump_json(me.sent(jti).body) == dump_json({"participant": "ME", "configuration": own.token})
