"""Messages that are posted: every step of section 2 in its order, nothing changed by a refusal (abuse.md H)."""

import datetime as dt
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.errors import FederationError
from federation.identity import Identity
from federation.keys import key_set
from federation.mailbox import REMEMBERED_FOR, forget_received
from federation.messages import LIFETIME, make_message, new_jti, token_digest
from federation.participants import bind_participant, end_trust, store_configuration
from federation.refusals import load_refusals
from federation.statements import make_configuration, read_configuration
from sync.errors import SyncError
from sync.message_inbox import receive_message
from sync.wanted import load_wanted
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, named_identity, named_key
from tests.unit.federation.samples import claims_of, header_of, identity

VECTORS = Path(__file__).parents[1] / "vectors"
SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)
TABLES = ("received_message", "proposal", "sent_message", "participant", "configuration", "stranger", "wanted_pull")


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def post(follower: Follower, token: str | bytes) -> str:
    """The receipt, or the code of the refusal."""
    body = token.encode("utf-8") if isinstance(token, str) else token
    try:
        return receive_message(follower.node, body, follower.now)
    except (FederationError, SyncError) as error:
        return error.code


def answer(follower: Follower, token: str | bytes) -> str:
    """``ok`` or the code of the refusal."""
    found = post(follower, token)
    return "ok" if found.count(".") == 2 else found


def everything(follower: Follower) -> list[object]:
    """All rows that a refused post must not change."""
    with reading(follower.engine) as session:
        return [[tuple(row) for row in session.execute(sa.text(f'SELECT * FROM "{table}"'))] for table in TABLES]


def rows(follower: Follower, table: str) -> int:
    with reading(follower.engine) as session:
        return int(session.execute(sa.text(f'SELECT count(*) FROM "{table}"')).scalar_one())


@pytest.fixture
def follower(engine: sa.Engine) -> Follower:
    """RS, which knows ME by peering and has no anchor that answers."""
    network = SimulatedNetwork()
    network.anchor.online = False
    follower = make_follower(engine, network, identity("RS"))
    vectors = load("messages")
    me = identity("ME")
    assert me.federation_key is not None
    with writing(engine) as session:
        session.execute(sa.text("DELETE FROM anchor"))
        bind_participant(session, "ME", me.entity_id, "peering", key_set(me.federation_key))
        store_configuration(session, read_configuration(vectors["configuration"]))
    return follower


class TestVectors:
    """All of a file's refusals one after the other on one node: after each, nothing has changed."""

    def test_of_a_node_that_is_known(self, follower: Follower) -> None:
        for case in in_order(load("messages")["cases"]):
            before = everything(follower)
            assert answer(follower, case["token"]) == case["expect"], case["name"]
            forget_wanted_pulls(follower)  # an unknown key makes the worker look for a new configuration
            assert (everything(follower) == before) == (case["expect"] != "ok"), case["name"]
            forget_messages(follower)

    def test_of_repeats(self, follower: Follower) -> None:
        for case in load("messages")["repeats"]:
            first = post(follower, case["first"])
            found = post(follower, case["token"])
            assert found == (first if case["expect"] == "ok" else case["expect"]), case["name"]
            assert rows(follower, "received_message") == (2 if case["expect"] == "jti_conflict" else 1), case["name"]
            forget_messages(follower)

    def test_of_a_node_that_introduces_itself(self, follower: Follower) -> None:
        for case in in_order(load("peering")["cases"]):
            before = everything(follower)
            assert answer(follower, case["token"]) == case["expect"], case["name"]
            after = everything(follower)
            assert (after == before) == (case["expect"] != "ok"), case["name"]
            assert after[TABLES.index("participant")] == before[TABLES.index("participant")], "nobody is trusted by it"
            assert after[TABLES.index("wanted_pull")] == [], "and nothing is dialled"
            forget_messages(follower)


def in_order(cases: list[dict[str, str]]) -> list[dict[str, str]]:
    """Refusals first."""
    return sorted(cases, key=lambda case: case["expect"] == "ok")


def forget_wanted_pulls(follower: Follower) -> None:
    with writing(follower.engine) as session:
        session.execute(sa.text("DELETE FROM wanted_pull"))


def forget_messages(follower: Follower) -> None:
    """As if none had been taken."""
    with writing(follower.engine) as session:
        session.execute(sa.text("DELETE FROM received_message"))


class Peer:
    """A node that the follower trusts, and what it writes."""

    def __init__(self, follower: Follower, code: str = "ME", url: str | None = None) -> None:
        self.follower = follower
        self.identity = replace(identity(code), entity_id=url or identity(code).entity_id)
        self.configuration = make_configuration(self.identity, now=NOW)

    @property
    def body(self) -> dict[str, Any]:
        return {"participant": self.identity.participant, "configuration": self.configuration.token}

    def write(self, signer: Identity | None = None, **changes: Any) -> str:
        arguments: dict[str, Any] = {
            "audience": self.follower.node.identity.entity_id,
            "jti": new_jti(),
            "type_": "peering.approved",
            "body": self.body,
            "now": self.follower.now,
        }
        return make_message(signer or self.identity, **(arguments | changes))


@pytest.fixture
def peer(follower: Follower) -> Peer:
    return Peer(follower)


class TestTaking:
    def test_receipt_names_what_came(self, follower: Follower, peer: Peer) -> None:
        token = peer.write()
        receipt = post(follower, token)
        own = follower.node.identity
        assert claims_of(receipt) == {
            "iss": own.entity_id,
            "aud": peer.identity.entity_id,
            "iat": int(NOW.timestamp()),
            "jti": claims_of(token)["jti"],
            "digest": token_digest(token),
        }
        assert header_of(receipt)["typ"] == "veza-receipt+jwt"

    def test_message_posted_a_thousand_times_is_one_row_with_one_receipt(self, follower: Follower, peer: Peer) -> None:
        token = peer.write(type_="peering.approved")
        with ThreadPoolExecutor(8) as pool:
            receipts = set(pool.map(lambda _: post(follower, token), range(1000)))
        (receipt,) = receipts
        assert receipt.count(".") == 2
        assert rows(follower, "received_message") == 1
        assert rows(follower, "wanted_pull") == 1

    def test_two_contents_under_one_name_at_once_have_one_receipt(self, follower: Follower, peer: Peer) -> None:
        jti = new_jti()
        tokens = [peer.write(jti=jti, type_=type_) for type_ in ("peering.approved", "peering.refused")]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda token: answer(follower, token), tokens * 4))
        assert sorted(set(answers)) == ["jti_conflict", "ok"]
        assert rows(follower, "received_message") == 2

    def test_conflict_keeps_one_other_content_and_no_more(self, follower: Follower, peer: Peer) -> None:
        jti = new_jti()
        first = post(follower, peer.write(jti=jti))
        for number in range(5):
            assert answer(follower, peer.write(jti=jti, body=peer.body | {"n": number})) == "jti_conflict"
        assert rows(follower, "received_message") == 2
        assert post(follower, peer.write(jti=jti)) == first

    def test_conflict_comes_before_times_and_content(self, follower: Follower, peer: Peer) -> None:
        jti = new_jti()
        post(follower, peer.write(jti=jti))
        old = peer.write(jti=jti, type_="no.such", now=NOW - 10 * HOUR, lifetime=HOUR)
        assert answer(follower, old) == "jti_conflict"

    def test_refused_name_may_be_used_again(self, follower: Follower, peer: Peer) -> None:
        jti = new_jti()
        assert answer(follower, peer.write(jti=jti, type_="no.such")) == "bad_request"
        assert answer(follower, peer.write(jti=jti)) == "ok"

    def test_repeat_long_after_its_time_gets_the_first_receipt(self, follower: Follower, peer: Peer) -> None:
        token = peer.write()
        first = post(follower, token)
        follower.pass_time(LIFETIME + HOUR)
        assert post(follower, token) == first
        assert answer(follower, peer.write(now=follower.now - LIFETIME - HOUR)) == "expired"

    def test_it_is_remembered_for_sixty_days(self, follower: Follower, peer: Peer) -> None:
        post(follower, peer.write())
        for days, left in ((59, 1), (60, 0)):
            with writing(follower.engine) as session:
                forget_received(session, NOW + dt.timedelta(days=days))
            assert rows(follower, "received_message") == left
        assert REMEMBERED_FOR.days == 60

    def test_repeat_whose_receipts_key_is_gone_gets_the_same_claims_anew(self, follower: Follower, peer: Peer) -> None:
        token = peer.write()
        first = post(follower, token)
        own = follower.node.identity
        rotated = replace(own, operating_key=named_key("rs operating 2"), former_keys=())
        with writing(follower.engine) as session:
            store_configuration(session, make_configuration(rotated, now=NOW + HOUR))
        later = Follower(replace(follower.node, load_identity=lambda: rotated), follower.network, NOW + HOUR)
        second = post(later, token)
        assert claims_of(second) == claims_of(first)
        assert header_of(second)["kid"] == rotated.operating_key.kid
        assert post(later, token) == second
        assert rows(later, "received_message") == 1

    def test_receipt_stays_as_it_is_while_its_key_is_listed(self, follower: Follower, peer: Peer) -> None:
        token = peer.write()
        first = post(follower, token)
        own = follower.node.identity
        rotated = replace(own, operating_key=named_key("rs operating 2"), former_keys=(own.operating_key,))
        with writing(follower.engine) as session:
            store_configuration(session, make_configuration(rotated, now=NOW + HOUR))
        later = Follower(replace(follower.node, load_identity=lambda: rotated), follower.network, NOW + HOUR)
        assert post(later, token) == first


Refusal = tuple[str, Callable[[Peer], str | bytes]]
REFUSED: list[Refusal] = [
    ("too_large", lambda peer: b"A" * 10_000_000),
    ("malformed", lambda peer: peer.write() + "="),
    ("malformed", lambda peer: b"\xff\xfe.a.b"),
    ("malformed", lambda peer: ""),
    ("wrong_type", lambda peer: peer.configuration.token),
    ("unknown_key", lambda peer: peer.write(identity("ME", "another key"))),
    ("wrong_audience", lambda peer: peer.write(audience="https://spoc.example.mk")),
    ("wrong_audience", lambda peer: peer.write(audience=[peer.follower.node.identity.entity_id])),
    ("wrong_audience", lambda peer: peer.write(audience=peer.follower.node.identity.entity_id + "/")),
    ("not_yet_valid", lambda peer: peer.write(now=NOW + 301 * SECOND)),
    ("not_yet_valid", lambda peer: peer.write(now=NOW + dt.timedelta(days=1))),
    ("expired", lambda peer: peer.write(now=NOW - LIFETIME - 301 * SECOND)),
    ("malformed", lambda peer: peer.write(lifetime=LIFETIME + SECOND)),
    ("bad_request", lambda peer: peer.write(type_="contact.request")),
    ("bad_request", lambda peer: peer.write(body={})),
    ("bad_request", lambda peer: peer.write(body=peer.body | {"note": "hello"})),
    ("bad_request", lambda peer: peer.write(body=peer.body | {"participant": "me"})),
    ("bad_request", lambda peer: peer.write(body=peer.body | {"participant": 5})),
    ("bad_request", lambda peer: peer.write(body=peer.body | {"configuration": "é.é.é"})),
    ("bad_request", lambda peer: peer.write(body=peer.body | {"configuration": None})),
    ("wrong_participant", lambda peer: peer.write(body=peer.body | {"participant": "MK"})),
    ("wrong_issuer", lambda peer: peer.write(body=Peer(peer.follower, "MK").body | {"participant": "ME"})),
    ("unknown_participant", lambda peer: peer.write(peer.follower.node.identity)),
    ("unknown_participant", lambda peer: peer.write(identity("MK"), type_="contact.requested")),
    ("participant_taken", lambda peer: Peer(peer.follower, "ME", "https://other.example").write()),
    ("participant_taken", lambda peer: Peer(peer.follower, "RS", "https://other.example").write()),
]


def test_a_refusal_changes_nothing(follower: Follower, peer: Peer) -> None:
    before = everything(follower)
    for number, (code, make) in enumerate(REFUSED):
        assert answer(follower, make(peer)) == code, number
        forget_wanted_pulls(follower)  # an unknown key makes the worker look for a new configuration
        assert everything(follower) == before, (number, code)


def test_an_unknown_key_makes_the_worker_look_for_a_new_configuration(follower: Follower, peer: Peer) -> None:
    for _ in range(3):
        assert answer(follower, peer.write(identity("ME", "another key"))) == "unknown_key"
    with reading(follower.engine) as session:
        assert load_wanted(session) == {"ME": ""}


@pytest.mark.parametrize("seconds", [-240, 240, 300])
def test_clocks_may_differ_by_five_minutes(follower: Follower, peer: Peer, seconds: int) -> None:
    assert answer(follower, peer.write(now=NOW + seconds * SECOND)) == "ok"


class TestSender:
    def test_whose_trust_ended_is_unknown(self, follower: Follower, peer: Peer) -> None:
        with writing(follower.engine) as session:
            end_trust(session, "ME", NOW)
        assert answer(follower, peer.write(type_="contact.requested")) == "unknown_participant"

    def test_whose_configuration_expired_has_no_keys(self, follower: Follower, peer: Peer) -> None:
        follower.pass_time(dt.timedelta(days=8))
        assert answer(follower, peer.write()) == "unknown_key"
        with reading(follower.engine) as session:
            assert set(load_wanted(session)) == {"ME"}

    def test_at_a_lapsed_address_with_keys_of_its_own_is_not_believed(self, follower: Follower, peer: Peer) -> None:
        taker = Identity("ME", peer.identity.entity_id, named_key("taker federation"), named_key("taker operating"))
        own = make_configuration(taker, now=NOW).token
        body = {"participant": "ME", "configuration": own}
        for type_ in ("peering.proposed", "peering.approved", "contact.requested"):
            assert answer(follower, peer.write(taker, type_=type_, body=body)) == "unknown_key"
        assert rows(follower, "proposal") == 0

    def test_is_counted_for_what_it_signed_and_was_refused_for(self, follower: Follower, peer: Peer) -> None:
        for _ in range(3):
            post(follower, peer.write(type_="no.such"))
        forged = peer.write()[:-6] + "AAAAAA"
        post(follower, forged)
        with reading(follower.engine) as session:
            (refusal,) = load_refusals(session, NOW - HOUR)
        assert (refusal.peer, refusal.code, refusal.count) == ("ME", "bad_request", 3)

    def test_that_is_a_stranger_is_never_written_about(self, follower: Follower) -> None:
        before = everything(follower)
        for number in range(50):
            stranger = named_identity("BG")
            elsewhere = replace(stranger, entity_id=f"https://n{number}.example")
            post(follower, Peer(follower).write(elsewhere, type_="contact.requested"))
        assert everything(follower) == before
        with reading(follower.engine) as session:
            assert load_refusals(session, NOW - HOUR) == []


def test_forged_posts_write_nothing(follower: Follower, peer: Peer) -> None:
    good = peer.write()
    head, body, _ = good.split(".")
    forged = f"{head}.{body}.{peer.write().split('.')[2]}"
    before = everything(follower)

    def writes(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        assert not statement.startswith(("INSERT", "UPDATE", "DELETE", "BEGIN IMMEDIATE")), statement

    sa.event.listen(follower.engine, "before_cursor_execute", writes)
    for _ in range(100):
        assert answer(follower, forged) == "bad_signature"
    sa.event.remove(follower.engine, "before_cursor_execute", writes)
    assert everything(follower) == before


def test_nothing_is_receipted_while_the_clock_cannot_be_right(follower: Follower, peer: Peer) -> None:
    before = everything(follower)
    follower.now = NOW - dt.timedelta(days=400)
    assert answer(follower, peer.write(now=follower.now)) == "clock_implausible"
    assert everything(follower) == before
